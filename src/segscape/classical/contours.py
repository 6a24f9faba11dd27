"""Where one thing ends and another begins: gradients of brightness, colour and texture.

Martin, Fowlkes and Malik 2004, "Learning to detect natural image boundaries using local brightness,
color, and texture cues" (IEEE TPAMI 26(5), doi:10.1109/TPAMI.2004.1273918), for the local cues;
Arbelaez, Maire, Fowlkes and Malik 2011, "Contour detection and hierarchical image segmentation"
(IEEE TPAMI 33(5), doi:10.1109/TPAMI.2010.161), section 3, for several scales and for the spectral
cue. It is the intervening contour of `normalized_cut`.

Differences from the papers: two radii of the half discs (5 and 10 pixels at full size, 5 and 10 at
half, for 5, 10 and 20), 32 textons from a filter bank of our own at one scale, found in the image
itself; the weights are of a logistic regression on BSDS500's training images; the intervening
contour is thinned by a look at the two neighbours across it, without linking. scikit-image has no
contour detector that knows texture.
Complexity: O(radius) for each pixel, orientation and cue.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from scipy.ndimage import gaussian_filter, map_coordinates
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

from segscape.ops.leading_eigenvectors import GraphSpectrum
from segscape.ops.oriented_gradient import oriented_gradient

ORIENTATIONS = 8
_BINS = 25
_TEXTONS = 32
_TEXTON_SAMPLE = 6000
# The share of L*, a*, b* that a histogram spans.
_LOW = torch.tensor([0.0, -73.0, -95.0])
_HIGH = torch.tensor([100.0, 95.0, 95.0])
# Of L*, a*, b* and texture (rows) at radii 5, 10 and 20 (columns), and the constant.
_WEIGHTS = ((3.97, 1.07, 0.60), (5.32, 2.79, 0.0), (4.51, 3.31, 0.0), (1.77, 0.12, 2.53))
_CONSTANT = -4.08
# Graphs in several parts have eigenvalues of 0.
_LEAST_EIGENVALUE = 1e-5


def local_contours(
    lab: Float32[Tensor, "channel height width"], *, seed: int = 0
) -> Float32[Tensor, "8 height width"]:
    """Judge by brightness, colour and texture how likely a contour runs through each pixel.

    Args:
        lab: L*, a*, b*, as from `lab_pixels`; of one channel only brightness and texture count; of
            others than 1 and 3 the mean stands for brightness and the first two principal
            components of the rest for colour.
        seed: of the textons, 0 or more.

    Returns:
        The logarithm of the odds of a contour at 0, 22.5, ... 157.5 degrees from the row axis,
        counted towards larger rows.
    """
    channels = _three_channels(lab)
    odds = torch.full((ORIENTATIONS, *channels.shape[1:]), _CONSTANT)
    smooth, plain = _smoothing_table(), torch.eye(_TEXTONS)
    half = avg_pool2d(channels[None], 2, ceil_mode=True)[0]
    for codes, half_codes, weights in zip(_codes(channels), _codes(half), _WEIGHTS, strict=False):
        _add_gradients(odds, codes, half_codes, smooth, weights)
    _add_gradients(odds, *_textons(lab, seed), plain, _WEIGHTS[3])
    return odds


def texture_responses(
    lab: Float32[Tensor, "channel height width"],
) -> Float32[Tensor, "17 height width"]:
    """Filter the lightness by an even and an odd filter for each orientation, and a round one."""
    bank = _filter_bank()
    radius = bank.shape[-1] // 2
    lightness = _three_channels(lab)[0] / 100
    framed = torch.from_numpy(np.pad(lightness.numpy(), radius, mode="symmetric"))
    return conv2d(framed[None, None], bank)[0]


def thinned_contours(
    odds: Float32[Tensor, "8 height width"],
) -> Float32[np.ndarray, "height width"]:
    """Keep the probability of a contour where it is highest across its own direction; else 0."""
    best, turn = (part.numpy() for part in odds.max(0))
    angle = turn * (np.pi / ORIENTATIONS)
    y, x = np.mgrid[: best.shape[0], : best.shape[1]]
    across = (np.cos(angle), -np.sin(angle))
    highest = np.ones(best.shape, np.bool_)
    for sign in (1, -1):
        beside = map_coordinates(
            best, [y + sign * across[0], x + sign * across[1]], order=1, mode="nearest"
        )
        highest &= best >= beside
    return np.where(highest, 1 / (1 + np.exp(-best)), np.float32(0))


def spectral_contours(
    spectrum: GraphSpectrum,
) -> Float32[Tensor, "8 height width"]:
    """Add up the gradients of eigenvectors, those of small eigenvalues most (Arbelaez, eq. 12).

    Vectors are brought to a mean square of 1 and the sum divided by their number, so that an even
    image has about the same value, 0.3, at any size.
    """
    volume = float(spectrum.degrees.sum())
    out = np.zeros((ORIENTATIONS, *spectrum.degrees.shape), np.float32)
    count = max(len(spectrum.values) - 1, 1)
    for value, vector in zip(spectrum.values[1:], spectrum.vectors[1:], strict=True):
        scale = np.sqrt(volume / max(value, _LEAST_EIGENVALUE)) / count
        rows = gaussian_filter(vector, 1.0, order=(1, 0), truncate=3) * scale
        columns = gaussian_filter(vector, 1.0, order=(0, 1), truncate=3) * scale
        for o in range(ORIENTATIONS):
            angle = o * np.pi / ORIENTATIONS
            out[o] += np.abs(np.cos(angle) * rows - np.sin(angle) * columns)
    return torch.from_numpy(out)


def _three_channels(
    channels: Float32[Tensor, "channel height width"],
) -> Float32[Tensor, "lab height width"]:
    """L*, a*, b*; of other channels, what stands for them."""
    if channels.shape[0] in (1, 3):
        return channels
    mean = channels.mean(0)
    rest = (channels - mean).flatten(1)
    rest = rest - rest.mean(1, keepdim=True)
    _, axes = torch.linalg.eigh(rest @ rest.T)
    colors = (axes[:, -2:].flip(1).T @ rest).reshape(-1, *mean.shape)
    return torch.cat([mean[None], colors[: channels.shape[0] - 1]])


def _codes(channels: Float32[Tensor, "lab height width"]) -> list[UInt8[Tensor, "height width"]]:
    """Cut L*, a* and b* into 25 bins."""
    share = [(c - low) / (high - low) for c, low, high in zip(channels, _LOW, _HIGH, strict=False)]
    return [(s.clamp(0, 0.9999) * _BINS).to(torch.uint8) for s in share]


def _smoothing_table() -> Float32[Tensor, "code bin"]:
    """What a pixel adds to the bins near its own, so that a small change is a small distance."""
    bins = torch.arange(_BINS)
    near = torch.exp(-((bins[:, None] - bins) ** 2) / (2 * 2.0**2))
    return near / near.sum(1, keepdim=True)


def _add_gradients(
    odds: Float32[Tensor, "8 height width"],
    codes: UInt8[Tensor, "height width"],
    half_codes: UInt8[Tensor, "half_height half_width"],
    table: Float32[Tensor, "code bin"],
    weights: tuple[float, float, float],
) -> None:
    """Add one cue at its three radii to the odds."""
    for weight, radius, part in zip(
        weights, (5, 5, 10), (codes, half_codes, half_codes), strict=True
    ):
        if weight == 0:
            continue
        gradient = oriented_gradient(part, table, radius_px=radius, orientations=ORIENTATIONS)
        gradient = _sharpened(gradient, radius)
        if part is half_codes:
            gradient = interpolate(gradient[None], scale_factor=2, mode="bilinear")[0]
        odds += weight * gradient[:, : odds.shape[1], : odds.shape[2]]


def _sharpened(
    gradient: Float32[Tensor, "8 height width"], radius: int
) -> Float32[Tensor, "8 height width"]:
    """Fit a parabola across each orientation, and take its value at the middle."""
    filters = _savitzky_golay(radius)
    framed = pad(gradient[None], (radius,) * 4, mode="replicate")
    return conv2d(framed, filters, groups=ORIENTATIONS)[0].clamp(min=0)


@cache
def _savitzky_golay(radius: int) -> Float32[Tensor, "8 1 side side"]:
    """Least squares of a plane and a parabola in an ellipse along each orientation."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    filters: list[Float64[np.ndarray, "side side"]] = []
    for o in range(ORIENTATIONS):
        along, across = _turned(x, y, o)
        inside = (along / radius) ** 2 + (across / 2.5) ** 2 <= 1
        u, v = along[inside], across[inside]
        one = np.zeros(x.shape)
        one[inside] = np.linalg.pinv(np.stack([np.ones_like(u), u, v, v * v], 1))[0]
        filters.append(one)
    return torch.from_numpy(np.stack(filters)[:, None]).to(torch.float32)


def _textons(
    lab: Float32[Tensor, "channel height width"], seed: int
) -> tuple[UInt8[Tensor, "height width"], UInt8[Tensor, "half_height half_width"]]:
    """Name each pixel, and each block of 2 x 2, after the cluster of its filter responses."""
    responses = texture_responses(lab)
    rows = responses.flatten(1).T.contiguous().numpy()
    some = np.random.default_rng(seed).choice(
        len(rows), min(_TEXTON_SAMPLE, len(rows)), replace=False
    )
    distinct = len(np.unique(rows[some].round(6), axis=0))
    textons = KMeans(min(_TEXTONS, distinct), max_iter=20, random_state=seed)
    with threadpool_limits(1):
        centers = textons.fit(rows[some]).cluster_centers_.astype(np.float32)
    half = avg_pool2d(responses[None], 2, ceil_mode=True)[0]
    return _nearest(responses, centers), _nearest(half, centers)


def _nearest(
    responses: Float32[Tensor, "filter height width"], centers: Float32[np.ndarray, "texton filter"]
) -> UInt8[Tensor, "height width"]:
    rows = responses.flatten(1).T.contiguous().numpy()
    nearest = ((centers**2).sum(1) - 2 * rows @ centers.T).argmin(1)
    return torch.from_numpy(nearest.astype(np.uint8).reshape(responses.shape[1:]))


@cache
def _filter_bank() -> Float32[Tensor, "17 1 19 19"]:
    """An even and an odd filter for each orientation, long in it, and one round."""
    y, x = np.mgrid[-9:10, -9:10].astype(np.float64)
    filters: list[Float64[np.ndarray, "19 19"]] = []
    for o in range(ORIENTATIONS):
        along, across = _turned(x, y, o)
        window = np.exp(-((along / 6) ** 2 + (across / 2) ** 2) / 2)
        filters += [window * ((across / 2) ** 2 - 1), window * np.sin(0.75 * across)]
    square = x * x + y * y
    narrow, wide = np.exp(-square / 8), np.exp(-square / (8 * 1.6**2))
    filters.append(narrow / narrow.sum() - wide / wide.sum())
    level = np.stack([f - f.mean() for f in filters])
    level /= np.abs(level).sum((1, 2), keepdims=True)
    return torch.from_numpy(level[:, None]).to(torch.float32)


def _turned(
    x: Float64[np.ndarray, "side side"], y: Float64[np.ndarray, "side side"], orientation: int
) -> tuple[Float64[np.ndarray, "side side"], Float64[np.ndarray, "side side"]]:
    """Coordinates along and across an orientation."""
    angle = orientation * np.pi / ORIENTATIONS
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
