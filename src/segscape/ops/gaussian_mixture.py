"""Mixtures of Gaussians over colours: what a pixel costs under one, and how to learn one.

Orchard and Bouman 1991, "Color quantization of images" (doi:10.1109/78.107417) is where GrabCut
takes its start from; here alternating choice and learning on a sample stands in its place.

Differs from scikit-learn's `GaussianMixture`: assignments are hard, as in GrabCut; nothing is added
to a covariance behind the caller's back: pixels are known to within a noise of given variance, and
a pixel's cost is its mean over that noise. So learning can only lower the sum of the costs, and
a component with a single colour, or none, is a right answer and no error.

One pass over pixels x components x channels^2 for costs; over pixels x channels^2 for learning.
"""

from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, UInt8
from numpy import ndarray

_NONE = 255
_BLOCK = 1024
_SAMPLE = 4096
_TRIES = 2
_ROUNDS = 8


@dataclass(frozen=True)
class GaussianMixture:
    """Gaussians with full covariances and their shares.

    Args:
        weights: shares, 0 or more, of sum 1; a component of share 0 is never taken.
        means: in the unit of the pixels.
        covariances: symmetric, of that unit squared, the noise included.
        noise: variance of each channel to within which a pixel is known, above 0.

    >>> one = GaussianMixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None], noise=0.5)
    >>> cost, component = one.costs(np.array([[0, 3], [0, 4]], np.float32))
    >>> cost.round(3).tolist(), component.tolist()
    ([0.5, 13.0], [0, 0])
    """

    weights: Float64[ndarray, "component"]
    means: Float64[ndarray, "component channel"]
    covariances: Float64[ndarray, "component channel channel"]
    noise: float

    def costs(
        self, pixels: Float32[ndarray, "channel pixel"]
    ) -> tuple[Float32[ndarray, "pixel"], UInt8[ndarray, "pixel"]]:
        """What each pixel costs under the component where it costs least, and which that is.

        -log weight + log(det covariance) / 2 + (z - mean)' covariance^-1 (z - mean) / 2, the last
        term's mean over the noise of z; log(2 pi) / 2 per channel is left out.
        """
        return self._evaluated(pixels, soft=False)

    def negative_log_density(
        self, pixels: Float32[ndarray, "channel pixel"]
    ) -> Float32[ndarray, "pixel"]:
        """-log of the mixture's density, all components together; the constant is left out."""
        return self._evaluated(pixels, soft=True)[0]

    def scaled(self, scale: float, shift: Float[ndarray, "channel"]) -> "GaussianMixture":
        """The mixture of scale x pixel + shift."""
        return GaussianMixture(
            self.weights,
            self.means * scale + shift,
            self.covariances * scale**2,
            self.noise * scale**2,
        )

    def _evaluated(
        self, pixels: Float32[ndarray, "channel pixel"], *, soft: bool
    ) -> tuple[Float32[ndarray, "pixel"], UInt8[ndarray, "pixel"]]:
        used = np.flatnonzero(self.weights > 0)
        factors = np.linalg.cholesky(self.covariances[used])
        whiten = np.linalg.inv(factors)
        log_root = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        # The mean of (z - mean)' covariance^-1 (z - mean) over noise in z: noise x the trace more.
        spread = self.noise * (whiten**2).sum(axis=(1, 2)) / 2
        cost = np.empty(pixels.shape[1], np.float32)
        component = np.empty(pixels.shape[1], np.uint8)
        _evaluate(
            np.ascontiguousarray(pixels),
            self.means[used].astype(np.float32),
            (whiten / np.sqrt(2)).astype(np.float32),
            (log_root + spread - np.log(self.weights[used])).astype(np.float32),
            used.astype(np.uint8),
            soft,
            cost,
            component,
        )
        return cost, component


def learned_mixtures(
    pixels: Float32[ndarray, "channel pixel"],
    component: UInt8[ndarray, "pixel"],
    counts: tuple[int, ...],
    noise: float,
) -> list[GaussianMixture | None]:
    """The mixtures of least cost for pixels whose components are given.

    Args:
        pixels: of any unit, about 1 in size and near 0, since they are held as float32.
        component: 0.. over all mixtures, the first one's first; 255 for pixels of none.
        counts: how many components each mixture has, 255 in sum at most.
        noise: variance to within which pixels are known, above 0.

    Returns:
        for each count a mixture, or None where it has no pixel.

    >>> pixels = np.array([[0, 0, 2, 9]], np.float32)
    >>> first, second = learned_mixtures(pixels, np.array([0, 1, 1, 255], np.uint8), (2, 3), 0.25)
    >>> first.weights.round(2).tolist(), first.means.ravel().tolist(), first.covariances.ravel()
    ([0.33, 0.67], [0.0, 1.0], array([0.25, 1.25]))
    >>> second is None
    True
    """
    channels = pixels.shape[0]
    total = sum(counts)
    number = np.zeros(total, np.int64)
    sums = np.zeros((total, channels))
    products = np.zeros((total, channels, channels))
    _add_moments(np.ascontiguousarray(pixels), component, number, sums, products)
    products += np.tril(products, -1).transpose(0, 2, 1)
    size = np.maximum(number, 1)
    means = sums / size[:, None]
    spread = products / size[:, None, None] - means[:, :, None] * means[:, None, :]
    # What rounding took below zero comes back, and far less than the noise could tell.
    covariances = spread + noise * np.eye(channels)
    mixtures: list[GaussianMixture | None] = []
    first = 0
    for count in counts:
        own = slice(first, first + count)
        first += count
        pixels_of_all = number[own].sum()
        mixtures.append(
            GaussianMixture(number[own] / pixels_of_all, means[own], covariances[own], noise=noise)
            if pixels_of_all
            else None
        )
    return mixtures


def sampled_mixture(
    pixels: Float32[ndarray, "channel pixel"], count: int, noise: float, seed: int
) -> GaussianMixture:
    """A mixture to start from, learned from a sample of the pixels.

    The first means are scattered by k-means++; then pixels choose components and components learn
    from pixels, in turn. The best of a few such tries is taken.

    Args:
        pixels: at least one.
        count: components; fewer are used where there are fewer different pixels.
        noise: variance to within which pixels are known, above 0.
        seed: chooses the sample and the first means.

    >>> pixels = np.array([[0, 0, 0, 1]], np.float32)
    >>> mixture = sampled_mixture(pixels, 3, 0.01, seed=0)
    >>> sorted(mixture.weights.tolist()), sorted(mixture.means.ravel().tolist())
    ([0.0, 0.25, 0.75], [0.0, 0.0, 1.0])
    """
    rng = np.random.default_rng(seed)
    chosen = rng.choice(pixels.shape[1], min(pixels.shape[1], _SAMPLE), replace=False)
    sample = np.ascontiguousarray(pixels[:, chosen])
    tries = [_settled(sample, _scattered(sample, count, noise, rng)) for _ in range(_TRIES)]
    return min(tries, key=lambda mixture: mixture.costs(sample)[0].sum(dtype=np.float64))


def _scattered(
    sample: Float32[ndarray, "channel pixel"], count: int, noise: float, rng: np.random.Generator
) -> GaussianMixture:
    """Round Gaussians of one size around pixels that lie apart: Arthur and Vassilvitskii 2007."""
    channels, size = sample.shape
    means = [sample[:, rng.integers(size)]]
    distance = ((sample - means[0][:, None]) ** 2).sum(axis=0, dtype=np.float64)
    while len(means) < count and distance.any():
        means.append(sample[:, rng.choice(size, p=distance / distance.sum())])
        distance = np.minimum(distance, ((sample - means[-1][:, None]) ** 2).sum(axis=0))
    means += [means[0]] * (count - len(means))
    variance = max(float(distance.mean()) / channels, noise)
    return GaussianMixture(
        np.full(count, 1 / count),
        np.array(means, np.float64),
        np.tile(variance * np.eye(channels), (count, 1, 1)),
        noise,
    )


def _settled(
    sample: Float32[ndarray, "channel pixel"], mixture: GaussianMixture
) -> GaussianMixture:
    for _ in range(_ROUNDS):
        component = mixture.costs(sample)[1]
        learned = learned_mixtures(sample, component, (len(mixture.weights),), mixture.noise)[0]
        mixture = learned or mixture
    return mixture


@numba.njit(cache=True, nogil=True)
@no_type_check
def _evaluate(
    pixels: Float32[ndarray, "channel pixel"],
    means: Float32[ndarray, "component channel"],
    whiten: Float32[ndarray, "component channel channel"],
    constant: Float32[ndarray, "component"],
    names: UInt8[ndarray, "component"],
    soft: bool,
    cost: Float32[ndarray, "pixel"],
    component: UInt8[ndarray, "pixel"],
) -> None:
    """Fill `cost` and `component`, by blocks of pixels so that the inner loops are vectors."""
    channels, count = pixels.shape
    for block in range((count + _BLOCK - 1) // _BLOCK):
        low = block * _BLOCK
        size = min(_BLOCK, count - low)
        row = np.empty(size, np.float32)
        value = np.empty((means.shape[0], size), np.float32)
        best = np.full(size, np.float32(np.inf))
        name = np.zeros(size, np.uint8)
        for k in range(means.shape[0]):
            for p in range(size):
                value[k, p] = constant[k]
            for i in range(channels):
                for p in range(size):
                    row[p] = 0
                for j in range(i + 1):
                    factor = whiten[k, i, j]
                    mean = means[k, j]
                    for p in range(size):
                        row[p] += factor * (pixels[j, low + p] - mean)
                for p in range(size):
                    value[k, p] += row[p] * row[p]
            for p in range(size):
                less = value[k, p] < best[p]
                best[p] = value[k, p] if less else best[p]
                name[p] = names[k] if less else name[p]
        if soft:
            for p in range(size):
                total = np.float32(0)
                for k in range(means.shape[0]):
                    total += np.exp(best[p] - value[k, p])
                best[p] -= np.log(total)
        for p in range(size):
            cost[low + p] = best[p]
            component[low + p] = name[p]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _add_moments(
    pixels: Float32[ndarray, "channel pixel"],
    component: UInt8[ndarray, "pixel"],
    number: Int64[ndarray, "component"],
    sums: Float64[ndarray, "component channel"],
    products: Float64[ndarray, "component channel channel"],
) -> None:
    """Count pixels, and add up their values and products, by component; lower triangles only."""
    channels, count = pixels.shape
    for p in range(count):
        k = component[p]
        if k == _NONE:
            continue
        number[k] += 1
        for i in range(channels):
            value = np.float64(pixels[i, p])
            sums[k, i] += value
            for j in range(i + 1):
                products[k, i, j] += value * pixels[j, p]
