"""An object cut out along edges of the image, from strokes on it and on its background.

Boykov and Jolly 2001, "Interactive graph cuts for optimal boundary & region segmentation of
objects in N-D images" (doi:10.1109/ICCV.2001.937505).

Differs from the paper: colours of any number of channels, their differences measured by
|I_p - I_q|; regional terms from mixtures of Gaussians, too; the camera noise sigma is by default
the root of the mean squared difference of neighbours; boundaries cost the same in both directions.
Costs may be negative logarithms of densities and so below zero: only their difference enters the
cut.

Differs from PyMaxflow, which cuts graphs that the user builds: this is the method itself, and new
marks go on from the flow found before. scikit-image and OpenCV have no such method.

Time is that of the minimum cut, in practice little more than linear in pixels. Memory: about 130
bytes per pixel, and 8 per pixel and channel.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float32, Shaped, UInt8
from numpy import ndarray
from scipy import ndimage
from torch import Tensor

from segscape.classical.pixels import refuse_beyond_memory, unit_pixels
from segscape.ops.contrast import neighbours
from segscape.ops.gaussian_mixture import sampled_mixture
from segscape.ops.max_flow import EIGHT, FOUR, SIX, GridCut
from segscape.structures import MethodError

BACKGROUND, OBJECT, UNMARKED = 0, 1, 255

_BINS = 16
# The variance to within which colours are known, as a share of the image's: rounding to 8 bits.
_NOISE = 2e-5


@dataclass(frozen=True)
class GraphCut:
    """An object cut out of an image.

    Args:
        mask: where the object is.
        energy: the paper's equation 1 of it: regional costs by their weight, and the boundary's.
    """

    mask: Bool[Tensor, "height width"]
    energy: float


@dataclass(frozen=True)
class VolumeCut:
    """An object cut out of a volume.

    Args:
        mask: where the object is.
        energy: as of `GraphCut`.
    """

    mask: Bool[Tensor, "depth height width"]
    energy: float


def graph_cut(
    image: Shaped[Tensor, "channel height width"],
    marks: UInt8[Tensor, "marked_height marked_width"],
    *,
    regional_weight: float = 0.1,
    sigma: float | None = None,
    regional: Literal["mixture", "histogram"] = "mixture",
    components: int = 5,
    neighbors: int = 8,
    seed: int = 0,
) -> GraphCut:
    """Cut out the object that marks show.

    Args:
        image: `uint8`, 16-bit or floating, of any number of channels.
        marks: 0 for background, 1 for object, 255 for what is to be found out; marks stay.
        regional_weight: how much colours count against boundaries, the paper's lambda: 0 or more;
            at 0 the cheapest boundary between the marks is found, whatever the colours.
        sigma: the difference of neighbours, in an image of 0..1, up to which a boundary between
            them is dear, above 0; by default the root of the image's mean squared difference.
        regional: how the colours of marks are learned: as mixtures of Gaussians, or as histograms
            of 16 bins a channel, for up to 3 channels.
        components: Gaussians in each mixture, 1 to 100.
        neighbors: 4, or 8 with those over corners, whose boundaries are smoother.
        seed: chooses the pixels from which the mixtures start.

    Raises:
        MethodError: for an image `unit_pixels` refuses, options out of range, marks of other values
            or size or without one of the two kinds, and beyond this machine's memory.
    """
    return InteractiveCut(
        image,
        marks,
        regional_weight=regional_weight,
        sigma=sigma,
        regional=regional,
        components=components,
        neighbors=neighbors,
        seed=seed,
    ).result


def volume_cut(
    volume: Shaped[Tensor, "channel depth height width"],
    marks: UInt8[Tensor, "marked_depth marked_height marked_width"],
    *,
    regional_weight: float = 0.1,
    sigma: float | None = None,
    regional: Literal["mixture", "histogram"] = "mixture",
    components: int = 5,
    seed: int = 0,
) -> VolumeCut:
    """Cut out an object of a volume, voxels having 6 neighbours; otherwise as `graph_cut`.

    Raises:
        MethodError: as `graph_cut`.
    """
    channels, depth, height, width = volume.shape
    pixels = unit_pixels(volume.reshape(channels, depth * height, width), "volume_cut").numpy()
    problem = _Problem(
        pixels.reshape(volume.shape),
        _checked_marks(marks, volume.shape[1:], "volume_cut"),
        offsets=SIX,
        regional_weight=regional_weight,
        sigma=sigma,
        regional=regional,
        components=components,
        seed=seed,
        method="volume_cut",
    )
    mask, energy = problem.solve()
    return VolumeCut(torch.from_numpy(mask), energy)


class InteractiveCut:
    """A cut that goes on from its last flow when marks are added (the paper's section 2.6).

    The colours stay those learned from the first marks.

    Args:
        image: as for `graph_cut`, like all that follow.
        marks: the first ones, of both kinds.
        regional_weight: the paper's lambda.
        sigma: the camera noise.
        regional: "mixture" or "histogram".
        components: Gaussians in each mixture.
        neighbors: 4 or 8.
        seed: for the mixtures.

    Attributes:
        result: the cut for all marks so far.

    Raises:
        MethodError: as `graph_cut`.
    """

    result: GraphCut

    def __init__(
        self,
        image: Shaped[Tensor, "channel height width"],
        marks: UInt8[Tensor, "marked_height marked_width"],
        *,
        regional_weight: float = 0.1,
        sigma: float | None = None,
        regional: Literal["mixture", "histogram"] = "mixture",
        components: int = 5,
        neighbors: int = 8,
        seed: int = 0,
    ) -> None:
        if neighbors not in (4, 8):
            raise MethodError(f"graph_cut got neighbors={neighbors}, expected 4 or 8")
        pixels = unit_pixels(image, "graph_cut").numpy()
        self._problem = _Problem(
            pixels,
            _checked_marks(marks, image.shape[1:], "graph_cut"),
            offsets=FOUR if neighbors == 4 else EIGHT,
            regional_weight=regional_weight,
            sigma=sigma,
            regional=regional,
            components=components,
            seed=seed,
            method="graph_cut",
        )
        self._solve()

    def add(self, marks: UInt8[Tensor, "marked_height marked_width"]) -> GraphCut:
        """Cut again with more marks.

        Args:
            marks: new ones, 255 elsewhere; where a pixel was marked before, the new mark counts.

        Raises:
            MethodError: for marks of other values or size.
        """
        shape = self._problem.marks.shape
        self._problem.add(_checked_marks(marks, shape, "graph_cut", both=False))
        return self._solve()

    def _solve(self) -> GraphCut:
        mask, energy = self._problem.solve()
        self.result = GraphCut(torch.from_numpy(mask), energy)
        return self.result


class _Problem:
    """The paper's graph: table 1 of its section 2.4, on a grid of any dimension."""

    def __init__(
        self,
        pixels: Float32[ndarray, "channel *grid"],
        marks: UInt8[ndarray, "*grid"],
        *,
        offsets: tuple[tuple[int, ...], ...],
        regional_weight: float,
        sigma: float | None,
        regional: str,
        components: int,
        seed: int,
        method: str,
    ) -> None:
        _check_options(regional_weight, sigma, regional, components, len(pixels), method)
        refuse_beyond_memory(
            marks.size * (80.0 + 12 * len(offsets) + 8 * len(pixels)),
            method,
            "shrink the image, or cut it in windows",
        )
        self.marks = marks.copy()
        edges = _boundary_costs(pixels, offsets, sigma)
        self._hard = 1 + _largest_sum(edges, offsets)
        learned = _histogram_costs if regional == "histogram" else _mixture_costs
        # lambda R_p("bkg") and lambda R_p("obj")
        self._regional = [
            np.float32(regional_weight) * cost for cost in learned(pixels, marks, components, seed)
        ]
        self._source, self._sink = self._terminals(self.marks)
        self._cut = GridCut(self._source, self._sink, edges, offsets=offsets)

    def solve(self) -> tuple[Bool[ndarray, "*grid"], float]:
        """The object, and the energy."""
        boundary_and_more = self._cut.solve()
        mask = self._cut.source_side
        of_background, of_object = self._regional
        # The cut knows the lesser cost of an unmarked pixel as 0, and a marked one's as 0.
        least = np.minimum(of_background, of_object)
        marked = np.where(self.marks == OBJECT, of_object, of_background)
        known = np.where(self.marks == UNMARKED, least, marked).sum(dtype=np.float64)
        return mask, float(boundary_and_more + known)

    def add(self, marks: UInt8[ndarray, "*grid"]) -> None:
        """Change the terminals of the pixels that are marked now."""
        self.marks = np.where(marks == UNMARKED, self.marks, marks)
        source, sink = self._terminals(self.marks)
        self._cut.add_terminals(source - self._source, sink - self._sink)
        self._source, self._sink = source, sink

    def _terminals(
        self, marks: UInt8[ndarray, "*grid"]
    ) -> tuple[Float32[ndarray, "*grid"], Float32[ndarray, "*grid"]]:
        """{p, S}: lambda R_p("bkg"), K, 0; {p, T}: lambda R_p("obj"), 0, K; less the lesser one."""
        difference = self._regional[BACKGROUND] - self._regional[OBJECT]
        hard = np.float32(self._hard)
        difference[marks == OBJECT] = hard
        difference[marks == BACKGROUND] = -hard
        return np.maximum(difference, 0), np.maximum(-difference, 0)


def _checked_marks(
    marks: Shaped[Tensor, "*grid"], shape: tuple[int, ...], method: str, *, both: bool = True
) -> UInt8[ndarray, "*grid"]:
    if tuple(marks.shape) != tuple(shape):
        raise MethodError(
            f"{method} got marks of {tuple(marks.shape)} for an image of {tuple(shape)}: "
            "give one mark per pixel"
        )
    array = marks.detach().cpu().numpy()
    used = np.unique(array).tolist()
    if not set(used) <= {BACKGROUND, OBJECT, UNMARKED}:
        raise MethodError(
            f"{method} got marks of values {used[:8]}, expected 0 for background, 1 for object, "
            "255 for neither"
        )
    for label, name in ((BACKGROUND, "background"), (OBJECT, "object")):
        if both and label not in used:
            raise MethodError(
                f"{method} got no mark for the {name}: mark at least one pixel of it by {label}"
            )
    return array


def _check_options(
    regional_weight: float,
    sigma: float | None,
    regional: str,
    components: int,
    channels: int,
    method: str,
) -> None:
    if not 0 <= regional_weight < 1e6:
        raise MethodError(f"{method} got regional_weight={regional_weight}, expected 0 or more")
    if sigma is not None and not 0 < sigma < np.inf:
        raise MethodError(f"{method} got sigma={sigma}, expected above 0, or None")
    if not 1 <= components <= 100:
        raise MethodError(f"{method} got components={components}, expected 1 to 100")
    if regional not in ("mixture", "histogram"):
        raise MethodError(f'{method} got regional={regional!r}, expected "mixture" or "histogram"')
    if regional == "histogram" and channels > 3:
        raise MethodError(
            f'{method} got {channels} channels for histograms, expected up to 3: use "mixture"'
        )


def _boundary_costs(
    pixels: Float32[ndarray, "channel *grid"],
    offsets: tuple[tuple[int, ...], ...],
    sigma: float | None,
) -> Float32[ndarray, "offset *grid"]:
    """B_pq = exp(-|I_p - I_q|^2 / (2 sigma^2)) / |p - q|."""
    costs = np.zeros((len(offsets), *pixels.shape[1:]), np.float32)
    pairs = list(neighbours(pixels.shape[1:], offsets))
    total, count = 0.0, 0
    for k, (start, end) in enumerate(pairs):
        square = costs[(k, *start)]
        for channel in pixels:
            square += np.square(channel[end] - channel[start])
        total += float(square.sum(dtype=np.float64))
        count += square.size
    variance = total / max(count, 1) if sigma is None else sigma**2
    for k, (start, _) in enumerate(pairs):
        square = costs[(k, *start)]
        # Where all are equal, so are all boundaries.
        square *= np.float32(-0.5 / variance if variance > 0 else 0)
        np.exp(square, out=square)
        square /= np.float32(np.linalg.norm(offsets[k]))
    return costs


def _largest_sum(
    edges: Float32[ndarray, "offset *grid"], offsets: tuple[tuple[int, ...], ...]
) -> float:
    """Find max over p of the sum of B_pq over its neighbours q."""
    total = np.zeros(edges.shape[1:], np.float32)
    for edge, (start, end) in zip(edges, neighbours(edges.shape[1:], offsets), strict=True):
        total[start] += edge[start]
        total[end] += edge[start]
    return float(total.max())


def _mixture_costs(
    pixels: Float32[ndarray, "channel *grid"],
    marks: UInt8[ndarray, "*grid"],
    components: int,
    seed: int,
) -> list[Float32[ndarray, "*grid"]]:
    """-ln Pr(I_p | background), -ln Pr(I_p | object) by mixtures of Gaussians."""
    flat = pixels.reshape(len(pixels), -1)
    standard = flat - flat.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    standard /= np.float32(float(np.sqrt(np.square(standard).mean(dtype=np.float64))) or 1.0)
    costs: list[Float32[ndarray, "*grid"]] = []
    for label in (BACKGROUND, OBJECT):
        marked = np.ascontiguousarray(standard[:, marks.reshape(-1) == label])
        mixture = sampled_mixture(marked, components, _NOISE, seed)
        costs.append(mixture.negative_log_density(standard).reshape(marks.shape))
    return costs


def _histogram_costs(
    pixels: Float32[ndarray, "channel *grid"],
    marks: UInt8[ndarray, "*grid"],
    components: int,
    seed: int,
) -> list[Float32[ndarray, "*grid"]]:
    """The same by histograms, blurred by a bin, with one more pixel spread over all bins."""
    low = pixels.reshape(len(pixels), -1).min(axis=1)
    span = np.maximum(pixels.reshape(len(pixels), -1).max(axis=1) - low, np.float32(1e-12))
    code = np.zeros(marks.shape, np.int64)
    for channel, start, width in zip(pixels, low, span, strict=True):
        place = np.minimum((channel - start) / width * _BINS, _BINS - 1).astype(np.int64)
        code = code * _BINS + place
    bins = _BINS ** len(pixels)
    costs: list[Float32[ndarray, "*grid"]] = []
    for label in (BACKGROUND, OBJECT):
        counts = np.bincount(code[marks == label], minlength=bins).astype(np.float64)
        blurred = ndimage.gaussian_filter(counts.reshape((_BINS,) * len(pixels)), 1.0).ravel()
        share = (blurred + 1 / bins) / (counts.sum() + 1)
        costs.append(-np.log(share).astype(np.float32)[code])
    return costs
