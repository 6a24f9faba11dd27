"""GrabCut: an object cut out of an image from a box around it, a trimap or a few strokes.

Rother, Kolmogorov and Blake 2004, "GrabCut": interactive foreground extraction using iterated graph
cuts (doi:10.1145/1015706.1015720).

Differs from the paper: the mixtures start from a sample of pixels, not from Orchard and
Bouman's splitting; a pixel's colour is known to within a small noise, which keeps every covariance
regular and the energy falling; the first cut after marks of both kinds learns from the marks alone.
Border matting is not here: `posterior` is the pixels' own, without their neighbours.

Differs from OpenCV's `grabCut`: a pixel's cost is that of the component assigned to it, its share
included, as in the paper's equation 9 (there: the shares are left out when components are chosen,
and the cost is of all components together), so that the energy can only fall; it is returned for
every iteration, and the loop ends when it no longer falls; any number of channels and any type;
cuts are kept from iteration to iteration, since only the terminals change; nothing is global.

Per iteration: pixels x components x channels^2 for the costs, and a minimum cut that starts from
the last one's flow. Large images: see `banded_cut`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Shaped, UInt8
from numpy import ndarray
from torch import Tensor

from segscape.classical.pixels import refuse_beyond_memory, unit_pixels
from segscape.ops.contrast import boundary_costs, neighbours
from segscape.ops.gaussian_mixture import GaussianMixture, sampled_mixture, learned_mixtures
from segscape.ops.max_flow import EIGHT, GridCut
from segscape.structures import MethodError

BACKGROUND, OBJECT, UNKNOWN = 0, 1, 255

# The variance to within which colours are known, as a share of the image's variance: about what
# rounding to 8 bits leaves in a photograph.
_NOISE = 2e-5
# Capacities are integers; those at one pixel add up to this at most, and 2^31 is the limit.
_FINEST = 2**22
# A pixel's eight edges, in units of gamma: four of length 1 and four of length sqrt(2).
_DEGREE = 4 + 4 / 2**0.5


@dataclass(frozen=True)
class GrabCut:
    """An object cut out.

    Args:
        mask: where the object is.
        energies: the energy (the paper's equation 2) after each iteration, never rising.
        is_converged: whether the energy stopped falling before the iterations ended.
        posterior: the probability of each pixel's colour to be of the object, under the mixtures
            alone and with equal odds before; 0 and 1 where the marks say so.
        object_colors: the mixture that the last cut used for the object, colours in 0..1; None
            where the object is empty from the start.
        background_colors: likewise for the background.
    """

    mask: Bool[Tensor, "height width"]
    energies: tuple[float, ...]
    is_converged: bool
    posterior: Float32[Tensor, "height width"]
    object_colors: GaussianMixture
    background_colors: GaussianMixture


def grab_cut(
    image: Shaped[Tensor, "channel height width"],
    *,
    box: tuple[int, int, int, int] | None = None,
    marks: UInt8[Tensor, "height width"] | None = None,
    gamma: float = 50.0,
    components: int = 5,
    iterations: int = 12,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> GrabCut:
    """Cut out the object in a box, or the one that marks show.

    Args:
        image: `uint8`, 16-bit or floating, of any number of channels.
        box: left, top, right and bottom in pixels, right and bottom exclusive: all outside is
            background, and what is not marked inside is at first taken for the object.
        marks: 0 for background, 1 for object, 255 for what is to be found out: a trimap or strokes.
            Without a box, what is not marked starts as the object if only background is marked,
            as background if only the object is, and as neither if both are.
        gamma: weight of the boundary, 0 or more; the paper's 50 came from 15 training images.
        components: Gaussians in each of the two mixtures, 1 to 100.
        iterations: the most cuts that are made, 1 or more.
        tolerance: ends when an iteration lowers the energy by no more than this, in nats per
            pixel that is not marked; 0 or more.
        seed: chooses the pixels from which the mixtures start.

    Raises:
        MethodError: for an image `unit_pixels` refuses, options out of range, no box and no marks,
            marks of other values or size, a mark for the object outside the box, or when nothing
            is left for the background; when the cut would not fit into memory.
    """
    _check_options(gamma, components, iterations, tolerance)
    pixels = unit_pixels(image, "grab_cut").numpy()
    known = _known(pixels.shape[1:], box, marks)
    start = _start(known, in_box=box is not None)
    channels, height, width = pixels.shape
    refuse_beyond_memory(
        height * width * (8 * channels + 100), "grab_cut", "shrink the image, or draw a smaller box"
    )
    shift, scale = _center_and_scale(pixels)
    standard = (pixels - shift[:, None, None]).astype(np.float32) / np.float32(scale)
    search = _Search(standard, known, start, gamma, components, seed)
    energies, is_converged = search.run(iterations, tolerance)
    constant = pixels[0].size * channels * np.log(scale)
    return GrabCut(
        mask=torch.from_numpy(search.label == OBJECT),
        energies=tuple(float(energy + constant) for energy in energies),
        is_converged=is_converged,
        posterior=torch.from_numpy(search.posterior()),
        object_colors=search.mixtures[OBJECT].scaled(scale, shift),
        background_colors=search.mixtures[BACKGROUND].scaled(scale, shift),
    )


class _Search:
    """The state of the iterations: labels, mixtures and the cut.

    Args:
        pixels: about 1 in size.
        known: the user's marks.
        start: labels to learn the first mixtures from, 255 for none.
    """

    def __init__(
        self,
        pixels: Float32[ndarray, "channel height width"],
        known: UInt8[ndarray, "height width"],
        start: UInt8[ndarray, "height width"],
        gamma: float,
        components: int,
        seed: int,
    ) -> None:
        self.pixels = pixels.reshape(len(pixels), -1)
        self.known = known
        self.label = start
        self.components = components
        costs, _ = boundary_costs(pixels)
        self.boundary = costs
        self.boundary *= np.float32(gamma)
        self.mixtures = [self._start(label, seed) for label in (BACKGROUND, OBJECT)]
        self._evaluate()
        self.cut = _BandCut(known, self.boundary, gamma)

    def run(self, iterations: int, tolerance: float) -> tuple[list[float], bool]:
        """Iterate until the energy no longer falls."""
        energies: list[float] = []
        least = tolerance * np.count_nonzero(self.known == UNKNOWN)
        for _ in range(iterations):
            before = self.label, self.mixtures, self.costs, self.nearest
            self._learn()
            self._evaluate()
            difference = self.costs[BACKGROUND] - self.costs[OBJECT]
            self.label = self.cut.labels(difference.reshape(self.known.shape))
            energy = self._energy()
            # Capacities are rounded: a fall smaller than that may come out as a rise.
            if energies and energy > energies[-1]:
                self.label, self.mixtures, self.costs, self.nearest = before
                energy = energies[-1]
            energies.append(energy)
            if len(energies) > 1 and energies[-2] - energy <= least:
                return energies, True
        return energies, False

    def posterior(self) -> Float32[ndarray, "height width"]:
        """The probability of the object, pixel by pixel."""
        densities = [mixture.negative_log_density(self.pixels) for mixture in self.mixtures]
        with np.errstate(over="ignore"):
            share = 1 / (1 + np.exp(densities[OBJECT] - densities[BACKGROUND]))
        share = share.reshape(self.known.shape)
        return np.where(self.known == UNKNOWN, share, self.known == OBJECT).astype(np.float32)

    def _start(self, label: int, seed: int) -> GaussianMixture:
        own = self.label.ravel() == label
        # An object of no pixel has any colour, and none more likely than the image's own.
        pixels = self.pixels[:, own] if own.any() else self.pixels
        return sampled_mixture(pixels, self.components, _NOISE, seed)

    def _evaluate(self) -> None:
        """Find what every pixel costs on either side, and its component there: step 1."""
        results = [mixture.costs(self.pixels) for mixture in self.mixtures]
        self.costs = [cost for cost, _ in results]
        self.nearest = [component for _, component in results]

    def _learn(self) -> None:
        """Learn both mixtures from the labels and the components: step 2."""
        label = self.label.ravel()
        component = np.where(
            label == OBJECT, self.nearest[OBJECT] + self.components, self.nearest[BACKGROUND]
        ).astype(np.uint8)
        component[label == UNKNOWN] = UNKNOWN
        counts = (self.components, self.components)
        learned = learned_mixtures(self.pixels, component, counts, _NOISE)
        self.mixtures = [new or old for new, old in zip(learned, self.mixtures, strict=True)]

    def _energy(self) -> float:
        """U + V (equations 7 and 11) of the labels."""
        is_object = self.label == OBJECT
        data = np.where(is_object.ravel(), self.costs[OBJECT], self.costs[BACKGROUND])
        energy = float(data.sum(dtype=np.float64))
        pairs = neighbours(is_object.shape, EIGHT)
        for cost, (start, end) in zip(self.boundary, pairs, strict=True):
            differ = is_object[start] != is_object[end]
            energy += float(cost[start].sum(where=differ, dtype=np.float64))
        return energy


class _BandCut:
    """Minimum cuts over the pixels that are not known, one after the other: step 3.

    What is known is left out of the graph: an edge to it is a share of the unknown pixel's own
    cost. Costs beyond what a pixel's edges could outweigh decide it, so they are cut down to that;
    capacities are then integers of 22 bits, which are faster to cut than floats, and exact.
    """

    def __init__(
        self,
        known: UInt8[ndarray, "height width"],
        boundary: Float32[ndarray, "offset height width"],
        gamma: float,
    ) -> None:
        unknown = known == UNKNOWN
        rows, columns = np.flatnonzero(unknown.any(axis=1)), np.flatnonzero(unknown.any(axis=0))
        self.known = known
        self.cut: GridCut | None = None
        if not rows.size:
            return
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        self.window, self.unknown = window, unknown[window]
        self.scale = _FINEST / (max(gamma, 1e-6) * _DEGREE)
        edges = np.rint(boundary * np.float32(self.scale)).astype(np.int32)
        # From the known: + towards the object, - towards the background.
        sign = np.where(unknown, 0, 2 * (known == OBJECT).astype(np.int32) - 1)
        fixed = np.zeros(known.shape, np.int32)
        limit = np.ones(known.shape, np.int32)
        for edge, (start, end) in zip(edges, neighbours(known.shape, EIGHT), strict=True):
            fixed[start] += edge[start] * sign[end]
            fixed[end] += edge[start] * sign[start]
            edge[start] *= unknown[start] & unknown[end]
            limit[start] += edge[start]
            limit[end] += edge[start]
        self.edges = np.ascontiguousarray(edges[(slice(None), *window)])
        self.fixed, self.limit = fixed[window], limit[window]
        self.terminal = np.zeros(self.fixed.shape, np.int32)

    def labels(
        self, difference: Float32[ndarray, "height width"]
    ) -> UInt8[ndarray, "height width"]:
        """Labels of least energy, where it costs `difference` more to be background."""
        if not self.known[self.known == UNKNOWN].size:
            return self.known
        terminal = np.rint(difference[self.window].astype(np.float64) * self.scale) + self.fixed
        terminal = np.clip(terminal, -self.limit, self.limit).astype(np.int32)
        terminal[~self.unknown] = 0
        nothing = np.zeros_like(terminal)
        if self.cut is None:
            self.cut = GridCut(np.maximum(terminal, 0), np.maximum(-terminal, 0), self.edges)
        else:
            self.cut.add_terminals(terminal - self.terminal, nothing)
        self.terminal = terminal
        self.cut.solve()
        label = self.known.copy()
        label[self.window][self.unknown] = self.cut.source_side[self.unknown]
        return label


def _check_options(gamma: float, components: int, iterations: int, tolerance: float) -> None:
    for name, value, is_right, expected in (
        ("gamma", gamma, 0 <= gamma < 1e6, "0 or more"),
        ("components", components, 1 <= components <= 100, "1 to 100"),
        ("iterations", iterations, iterations >= 1, "1 or more"),
        ("tolerance", tolerance, tolerance >= 0, "0 or more"),
    ):
        if not is_right:
            raise MethodError(f"grab_cut got {name}={value}, expected {expected}")


def _known(
    shape: tuple[int, ...],
    box: tuple[int, int, int, int] | None,
    marks: UInt8[Tensor, "height width"] | None,
) -> UInt8[ndarray, "height width"]:
    """Bring box and marks together: 0, 1 or 255 for every pixel."""
    height, width = shape
    if box is None and marks is None:
        raise MethodError("grab_cut got neither a box nor marks: draw one around or on the object")
    known = np.full((height, width), UNKNOWN, np.uint8)
    if marks is not None:
        known = marks.detach().cpu().numpy().copy()
        if known.shape != (height, width):
            raise MethodError(
                f"grab_cut got marks of {known.shape[0]} x {known.shape[1]} pixels for an image of "
                f"{height} x {width}: draw them on this image"
            )
        others = np.setdiff1d(known, (BACKGROUND, OBJECT, UNKNOWN))
        if others.size:
            raise MethodError(
                f"grab_cut got marks of value {others[0]}, expected 0 for background, 1 for object "
                "and 255 for pixels without a mark"
            )
    if box is not None:
        outside = _outside(box, height, width)
        wrong = int(np.count_nonzero(known[outside] == OBJECT))
        if wrong:
            raise MethodError(
                f"grab_cut got {wrong:,} pixels marked as object outside the box {box}: "
                "enlarge the box or erase the marks"
            )
        known[outside] = BACKGROUND
    return known


def _outside(
    box: tuple[int, int, int, int], height: int, width: int
) -> Bool[ndarray, "height width"]:
    left, top, right, bottom = box
    if not (max(left, 0) < min(right, width) and max(top, 0) < min(bottom, height)):
        raise MethodError(
            f"grab_cut got the box {box}, which holds no pixel of an image of {height} x {width}: "
            "a box is (left, top, right, bottom) in pixels"
        )
    outside = np.ones((height, width), np.bool_)
    outside[max(top, 0) : bottom, max(left, 0) : right] = False
    return outside


def _start(
    known: UInt8[ndarray, "height width"], *, in_box: bool
) -> UInt8[ndarray, "height width"]:
    """Labels to learn the first mixtures from."""
    has_background, has_object = (known == BACKGROUND).any(), (known == OBJECT).any()
    if not has_background and not has_object:
        raise MethodError(
            "grab_cut got a box of the whole image, so nothing is known to be background: "
            "leave a margin, or mark some background"
        )
    if has_background and has_object and not in_box:
        return known
    rest = OBJECT if has_background else BACKGROUND
    return np.where(known == UNKNOWN, np.uint8(rest), known)


def _center_and_scale(
    pixels: Float32[ndarray, "channel height width"],
) -> tuple[ndarray, float]:
    """The mean of each channel and one standard deviation for all; 1 for a constant image."""
    flat = pixels.reshape(len(pixels), -1)
    mean = flat.mean(axis=1, dtype=np.float64)
    variance = float(flat.var(axis=1, dtype=np.float64).mean())
    return mean, float(np.sqrt(variance)) if variance > 0 else 1.0
