"""An object cut out along edges of the image, from strokes on it and on its background.

Boykov and Jolly 2001, "Interactive graph cuts for optimal boundary & region segmentation of
objects in N-D images" (doi:10.1109/ICCV.2001.937505).

Differs from the paper: colours of any number of channels, their differences measured by
|I_p - I_q|; regional terms from mixtures of Gaussians, too; the camera noise sigma is by default
the root of the mean squared difference of neighbours; boundaries cost the same in both directions.
Costs may be negative logarithms of densities and so below zero: only their difference enters the
cut. Images of more than a megapixel are cut coarse to fine (`banded_cut`).

Differs from PyMaxflow, which cuts graphs that the user builds: this is the method itself, and new
marks go on from the flow found before. scikit-image and OpenCV have no such method.

Time is that of the minimum cut, in practice little more than linear in pixels. Memory: about 130
bytes per pixel, and 8 per pixel and channel; coarse to fine, 20 per pixel, and 8 per channel.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float32, Shaped, UInt8
from numpy import ndarray
from torch import Tensor

from segscape.classical.banded_cut import (
    Window,
    band_marks,
    coarse_factor,
    cut_in_tiles,
    factor_with_marks,
    shrunk_marks,
    shrunk_pixels,
)
from segscape.classical.marked_colors import MarkedHistograms, MarkedMixtures
from segscape.classical.object_marks import BACKGROUND, OBJECT, UNKNOWN, object_marks
from segscape.classical.pixels import float_pixels, refuse_beyond_memory
from segscape.ops.contrast import boundary_costs, cost_of_cut, mean_sharpness, neighbours
from segscape.ops.max_flow import EIGHT, FOUR, SIX, GridCut
from segscape.structures import MethodError

_ROWS = 256


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
    regional_weight: float = 0.01,
    sigma: float | None = None,
    regional: Literal["mixture", "histogram"] = "mixture",
    components: int = 5,
    neighbors: int = 8,
    coarse_to_fine: int | None = None,
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
        coarse_to_fine: 1 cuts at full size at once; 2 to 64 cuts blocks of so many pixels across,
            and then a band around the object at full size. By default 1 for images of up to a
            megapixel, and blocks above, about 0.3 million of them; smaller ones where marks of
            both kinds would share all blocks.
        seed: chooses the pixels from which the mixtures start.

    Raises:
        MethodError: for an image `float_pixels` refuses, options out of range, marks of other
            values or size or without one of the two kinds, and beyond this machine's memory.
    """
    options = _Options("graph_cut", regional_weight, sigma, regional, components, seed)
    offsets = _offsets(neighbors)
    pixels = float_pixels(image, "graph_cut").numpy()
    known = _marks_of_both_kinds(marks, pixels, options)
    height, width = known.shape
    factor = coarse_factor(height, width, coarse_to_fine, "graph_cut")
    factor = factor_with_marks(known, factor)
    if factor == 1:
        mask, energy = _Problem(pixels, known, _learned(pixels, known, offsets, options)).solve()
    else:
        mask, energy = _coarse_to_fine(pixels, known, offsets, options, factor)
    return GraphCut(torch.from_numpy(mask), energy)


def volume_cut(
    volume: Shaped[Tensor, "channel depth height width"],
    marks: UInt8[Tensor, "marked_depth marked_height marked_width"],
    *,
    regional_weight: float = 0.01,
    sigma: float | None = None,
    regional: Literal["mixture", "histogram"] = "mixture",
    components: int = 5,
    seed: int = 0,
) -> VolumeCut:
    """Cut out an object of a volume, voxels having 6 neighbours; otherwise as `graph_cut`.

    Raises:
        MethodError: as `graph_cut`.
    """
    options = _Options("volume_cut", regional_weight, sigma, regional, components, seed)
    if volume.ndim != 4:
        raise MethodError(
            f"volume_cut got a volume of {tuple(volume.shape)}, expected channel x depth x height "
            "x width: volume[None] for one channel"
        )
    channels, depth, height, width = volume.shape
    flat = float_pixels(volume.reshape(channels, depth * height, width), "volume_cut").numpy()
    pixels = flat.reshape(volume.shape)
    known = _marks_of_both_kinds(marks, pixels, options)
    mask, energy = _Problem(pixels, known, _learned(pixels, known, SIX, options)).solve()
    return VolumeCut(torch.from_numpy(mask), energy)


class InteractiveCut:
    """A cut that goes on from its last flow when marks are added (the paper's section 2.6).

    It is of the whole image at full size. The colours stay those learned from the first marks.

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
        regional_weight: float = 0.01,
        sigma: float | None = None,
        regional: Literal["mixture", "histogram"] = "mixture",
        components: int = 5,
        neighbors: int = 8,
        seed: int = 0,
    ) -> None:
        options = _Options("graph_cut", regional_weight, sigma, regional, components, seed)
        offsets = _offsets(neighbors)
        pixels = float_pixels(image, "graph_cut").numpy()
        known = _marks_of_both_kinds(marks, pixels, options)
        self._problem = _Problem(pixels, known, _learned(pixels, known, offsets, options))
        self._solve()

    def add(self, marks: UInt8[Tensor, "marked_height marked_width"]) -> GraphCut:
        """Cut again with more marks.

        Args:
            marks: new ones, 255 elsewhere; where a pixel was marked before, the new mark counts.

        Raises:
            MethodError: for marks of other values or size.
        """
        self._problem.add(object_marks(marks, self._problem.marks.shape, "graph_cut"))
        return self._solve()

    def _solve(self) -> GraphCut:
        mask, energy = self._problem.solve()
        self.result = GraphCut(torch.from_numpy(mask), energy)
        return self.result


@dataclass(frozen=True)
class _Options:
    method: str
    regional_weight: float
    sigma: float | None
    regional: str
    components: int
    seed: int

    def __post_init__(self) -> None:
        for name, is_right, expected in (
            ("regional_weight", 0 <= self.regional_weight < 1e6, "0 or more"),
            ("sigma", self.sigma is None or 0 < self.sigma < np.inf, "above 0, or None"),
            ("regional", self.regional in ("mixture", "histogram"), '"mixture" or "histogram"'),
            ("components", 1 <= self.components <= 100, "1 to 100"),
        ):
            if not is_right:
                value = getattr(self, name)
                raise MethodError(f"{self.method} got {name}={value!r}, expected {expected}")


def _offsets(neighbors: int) -> tuple[tuple[int, ...], ...]:
    if neighbors not in (4, 8):
        raise MethodError(f"graph_cut got neighbors={neighbors}, expected 4 or 8")
    return FOUR if neighbors == 4 else EIGHT


def _marks_of_both_kinds(
    marks: Shaped[Tensor, "*marked"], pixels: Float32[ndarray, "channel *grid"], options: _Options
) -> UInt8[ndarray, "*grid"]:
    known = object_marks(marks, pixels.shape[1:], options.method)
    for label, name in ((BACKGROUND, "background"), (OBJECT, "object")):
        if not (known == label).any():
            raise MethodError(
                f"{options.method} got no mark for the {name}: mark at least one pixel of it by "
                f"{label}"
            )
    return known


@dataclass(frozen=True)
class _Costs:
    """What the paper's table 1 is made of, for any window of the image."""

    colors: MarkedMixtures | MarkedHistograms
    regional_weight: float
    sharpness: float
    offsets: tuple[tuple[int, ...], ...]

    def regional(
        self, pixels: Float32[ndarray, "channel *grid"]
    ) -> list[Float32[ndarray, "*grid"]]:
        """The paper's lambda R_p("bkg") and lambda R_p("obj")."""
        return [np.float32(self.regional_weight) * cost for cost in self.colors.costs(pixels)]

    def boundary(
        self, pixels: Float32[ndarray, "channel *grid"]
    ) -> Float32[ndarray, "offset *grid"]:
        """B_pq = exp(-|I_p - I_q|^2 / (2 sigma^2)) / |p - q|."""
        return boundary_costs(pixels, offsets=self.offsets, sharpness=self.sharpness)

    def energy(
        self, pixels: Float32[ndarray, "channel height width"], mask: Bool[ndarray, "height width"]
    ) -> float:
        """The paper's equation 1, by strips of rows."""
        total = 0.0
        for top in range(0, len(mask), _ROWS):
            part, own = pixels[:, top : top + _ROWS + 1], mask[top : top + _ROWS + 1]
            boundary = self.boundary(part)
            boundary[:, _ROWS:] = 0
            total += cost_of_cut(boundary, own, offsets=self.offsets)
            of_background, of_object = self.regional(part[:, :_ROWS])
            total += float(np.where(own[:_ROWS], of_object, of_background).sum(dtype=np.float64))
        return total


def _learned(
    pixels: Float32[ndarray, "channel *grid"],
    known: UInt8[ndarray, "*grid"],
    offsets: tuple[tuple[int, ...], ...],
    options: _Options,
) -> _Costs:
    if options.regional == "mixture":
        colors = MarkedMixtures(pixels, known, options.components, options.seed)
    elif len(pixels) <= 3:
        colors = MarkedHistograms(pixels, known)
    else:
        raise MethodError(
            f"{options.method} got {len(pixels)} channels for histograms, expected up to 3: "
            'use "mixture"'
        )
    return _Costs(colors, options.regional_weight, _sharpness(pixels, offsets, options), offsets)


def _sharpness(
    pixels: Float32[ndarray, "channel *grid"],
    offsets: tuple[tuple[int, ...], ...],
    options: _Options,
) -> float:
    if options.sigma is None:
        return mean_sharpness(pixels, offsets=offsets)
    return 1 / (2 * options.sigma**2)


def _coarse_to_fine(
    pixels: Float32[ndarray, "channel height width"],
    known: UInt8[ndarray, "height width"],
    offsets: tuple[tuple[int, ...], ...],
    options: _Options,
    factor: int,
) -> tuple[Bool[ndarray, "height width"], float]:
    """Cut blocks, then a band around their boundary; also the energy at full size."""
    refuse_beyond_memory((20.0 + 8 * len(pixels)) * known.size, options.method, "shrink the image")
    costs = _learned(pixels, known, offsets, options)
    blocks = shrunk_pixels(pixels, factor)
    # A block's colour stands for factor^2 pixels, its side for factor of them.
    coarse_costs = replace(
        costs,
        regional_weight=costs.regional_weight * factor,
        sharpness=_sharpness(blocks, offsets, options),
    )
    coarse, _ = _Problem(blocks, shrunk_marks(known, factor), coarse_costs).solve()

    def of_window(window: Window) -> tuple[ndarray, ndarray]:
        part = pixels[(slice(None), *window)]
        of_background, of_object = costs.regional(part)
        return of_background - of_object, costs.boundary(part)

    blocks_of_object = coarse.astype(np.uint8)
    band = band_marks(known, blocks_of_object, factor)
    label = cut_in_tiles(band, blocks_of_object, factor, of_window, offsets=offsets)
    mask = label == OBJECT
    return mask, costs.energy(pixels, mask)


class _Problem:
    """The paper's graph: table 1 of its section 2.4, on a grid of any dimension."""

    def __init__(
        self,
        pixels: Float32[ndarray, "channel *grid"],
        marks: UInt8[ndarray, "*grid"],
        costs: _Costs,
    ) -> None:
        refuse_beyond_memory(
            marks.size * (80.0 + 12 * len(costs.offsets) + 8 * len(pixels)),
            "a graph cut at full size",
            "shrink the image, or cut it coarse to fine or in windows",
        )
        self.marks = marks.copy()
        edges = costs.boundary(pixels)
        self._hard = 1 + _largest_sum(edges, costs.offsets)
        self._regional = costs.regional(pixels)
        self._source, self._sink = self._terminals(self.marks)
        self._cut = GridCut(self._source, self._sink, edges, offsets=costs.offsets)

    def solve(self) -> tuple[Bool[ndarray, "*grid"], float]:
        """The object, and the energy."""
        boundary_and_more = self._cut.solve()
        mask = self._cut.source_side
        of_background, of_object = self._regional
        # The cut knows the lesser cost of an unmarked pixel as 0, and a marked one's as 0.
        least = np.minimum(of_background, of_object)
        marked = np.where(self.marks == OBJECT, of_object, of_background)
        known = np.where(self.marks == UNKNOWN, least, marked).sum(dtype=np.float64)
        return mask, float(boundary_and_more + known)

    def add(self, marks: UInt8[ndarray, "*grid"]) -> None:
        """Change the terminals of the pixels that are marked now."""
        self.marks = np.where(marks == UNKNOWN, self.marks, marks)
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


def _largest_sum(
    edges: Float32[ndarray, "offset *grid"], offsets: tuple[tuple[int, ...], ...]
) -> float:
    """Find max over p of the sum of B_pq over its neighbours q."""
    total = np.zeros(edges.shape[1:], np.float32)
    for edge, (start, end) in zip(edges, neighbours(edges.shape[1:], offsets), strict=True):
        total[start] += edge[start]
        total[end] += edge[start]
    return float(total.max())
