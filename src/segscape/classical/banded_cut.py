"""Minimum cuts of images of many megapixels: at a coarse level first, then in a band at full size.

Lombaert, Sun, Grady and Xu 2005, "A multilevel banded graph cuts method for fast image
segmentation" (doi:10.1109/ICCV.2005.13).

Differs from the paper: one coarse level instead of a pyramid, since the cut of a third of a
megapixel takes no time; colours are means over blocks; the boundary weighs less at the coarse
level, where a block's data stands for factor^2 pixels and its side for factor: the coarse cut then
minimises an estimate of the energy at full size. The band is cut tile by tile, what is outside a
tile held fixed, and once more with tiles moved by half: every cut lowers the energy of the whole
band, if not always to the least, and memory is that of one tile. As in the paper, what is thinner
than a block and not marked can be lost: `band` is how far, in blocks, full size may correct the
coarse boundary.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, UInt8
from numpy import ndarray

from segscape.classical.object_marks import BACKGROUND, OBJECT, UNKNOWN
from segscape.ops.contrast import neighbours
from segscape.ops.max_flow import EIGHT, GridCut
from segscape.structures import MethodError

Window = tuple[slice, slice]
# What a window of the image costs: `difference` and `boundary` as `BandCut` takes them.
WindowCosts = Callable[[Window], tuple[ndarray, ndarray]]

# The coarse level of an image of more pixels than the first has about as many as the second.
_LARGE = 1_000_000
_COARSE = 300_000
_TILE = 256
# Capacities are integers; those at one pixel add up to this at most, and 2^31 is the limit.
_FINEST = 2**22


def coarse_factor(height: int, width: int, coarse_to_fine: int | None, method: str) -> int:
    """How many pixels across a block of the coarse level is: as asked, or by the image's size.

    Args:
        height: in pixels.
        width: in pixels.
        coarse_to_fine: 1 for full size at once, 2 to 64 for blocks; None to choose: 1 up to a
            megapixel, then so that about 0.3 million blocks are left.
        method: its name, for the error.

    Raises:
        MethodError: for a factor below 1 or above 64.

    >>> coarse_factor(480, 640, None, "graph_cut"), coarse_factor(3000, 4000, None, "graph_cut")
    (1, 6)
    """
    if coarse_to_fine is None:
        pixels = height * width
        return 1 if pixels <= _LARGE else round((pixels / _COARSE) ** 0.5)
    if not 1 <= coarse_to_fine <= 64:
        raise MethodError(
            f"{method} got coarse_to_fine={coarse_to_fine}, expected 1 (full size at once) to 64"
        )
    return coarse_to_fine


def shrunk_pixels(
    pixels: Float32[ndarray, "channel height width"], factor: int
) -> Float32[ndarray, "channel rows columns"]:
    """Means over blocks of factor x factor pixels; blocks at the right and bottom may be less.

    >>> shrunk_pixels(np.array([[[0, 2, 5]]], np.float32), 2).tolist()
    [[[1.0, 5.0]]]
    """
    image = torch.from_numpy(np.ascontiguousarray(pixels))[None]
    means = F.avg_pool2d(image, factor, ceil_mode=True, count_include_pad=False)
    return means[0].numpy()


def shrunk_marks(
    marks: UInt8[ndarray, "height width"], factor: int
) -> UInt8[ndarray, "rows columns"]:
    """A block's mark is the one in it, however few of its pixels bear it; of two marks, none.

    >>> shrunk_marks(np.array([[255, 1, 0, 1, 255]], np.uint8), 2).tolist()
    [[1, 255, 255]]
    """
    blocks = [_any_in_block(marks == label, factor) for label in (BACKGROUND, OBJECT)]
    one = np.where(blocks[OBJECT], np.uint8(OBJECT), np.uint8(BACKGROUND))
    return np.where(blocks[BACKGROUND] ^ blocks[OBJECT], one, np.uint8(UNKNOWN))


def factor_with_marks(marks: UInt8[ndarray, "height width"], factor: int) -> int:
    """Halve the size of blocks until both kinds of marks, where there are both, keep a block.

    >>> marks = np.full((8, 8), 255, np.uint8)
    >>> marks[0, 1], marks[0, 2] = 0, 1
    >>> factor_with_marks(marks, 8)
    2
    """
    kinds = {label for label in (BACKGROUND, OBJECT) if (marks == label).any()}
    while factor > 1 and not kinds <= set(np.unique(shrunk_marks(marks, factor)).tolist()):
        factor //= 2
    return factor


def band_marks(
    marks: UInt8[ndarray, "height width"],
    coarse: UInt8[ndarray, "rows columns"],
    factor: int,
    *,
    band: int = 2,
) -> UInt8[ndarray, "height width"]:
    """Mark all pixels that are far from the coarse level's boundary as the coarse level says.

    Args:
        marks: the user's, which stay.
        coarse: 0 or 1 for each block.
        factor: pixels across a block.
        band: how far from a boundary blocks stay open, in blocks, 1 or more.

    >>> coarse = np.array([[0, 0, 1, 1, 1]], np.uint8)
    >>> band_marks(np.full((1, 10), 255, np.uint8), coarse, 2, band=1).tolist()
    [[0, 0, 255, 255, 255, 255, 1, 1, 1, 1]]
    """
    labels = torch.from_numpy(coarse.astype(np.float32))[None]
    size = 2 * band + 1
    largest = F.max_pool2d(labels, size, stride=1, padding=band)
    smallest = -F.max_pool2d(-labels, size, stride=1, padding=band)
    near = (largest != smallest)[0].numpy()
    return enlarged(np.where(near, np.uint8(UNKNOWN), coarse), marks, factor)


def enlarged(
    coarse: UInt8[ndarray, "rows columns"], marks: UInt8[ndarray, "height width"], factor: int
) -> UInt8[ndarray, "height width"]:
    """What the blocks say, at full size, where the marks say nothing.

    >>> enlarged(np.array([[0, 1]], np.uint8), np.array([[1, 255, 255]], np.uint8), 2).tolist()
    [[1, 0, 1]]
    """
    height, width = marks.shape
    full = coarse.repeat(factor, axis=0)[:height].repeat(factor, axis=1)[:, :width]
    return np.where(marks == UNKNOWN, full, marks)


def cut_in_tiles(
    band: UInt8[ndarray, "height width"],
    coarse: UInt8[ndarray, "rows columns"],
    factor: int,
    costs: WindowCosts,
    *,
    offsets: Sequence[Sequence[int]] = EIGHT,
    tile: int = _TILE,
) -> UInt8[ndarray, "height width"]:
    """Lower the energy of the labels in a band, tile by tile, twice.

    Args:
        band: 255 where labels may change, from what the coarse level says.
        coarse: 0 or 1 for each block.
        factor: pixels across a block.
        costs: the costs in a window of the image.
        offsets: steps to neighbours, as for `BandCut`.
        tile: side of a tile in pixels, 2 or more.
    """
    label = enlarged(coarse, band, factor)
    open_ = band == UNKNOWN
    for first in (0, -(tile // 2)):
        for inner in _tiles(open_.shape, first, tile):
            if not open_[inner].any():
                continue
            outer = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in inner)
            marks = label[outer].copy()
            inside = tuple(
                slice(part.start - around.start, part.stop - around.start)
                for part, around in zip(inner, outer, strict=True)
            )
            marks[inside][open_[inner]] = UNKNOWN
            small = window_of(marks)
            window = (
                slice(outer[0].start + small[0].start, outer[0].start + small[0].stop),
                slice(outer[1].start + small[1].start, outer[1].start + small[1].stop),
            )
            difference, boundary = costs(window)
            label[window] = BandCut(marks[small], boundary, offsets=offsets).labels(difference)
    return label


def _tiles(shape: tuple[int, ...], first: int, tile: int) -> Iterator[Window]:
    height, width = shape
    for top in range(first, height, tile):
        for left in range(first, width, tile):
            yield (
                slice(max(top, 0), min(top + tile, height)),
                slice(max(left, 0), min(left + tile, width)),
            )


def window_of(marks: UInt8[ndarray, "height width"]) -> Window:
    """The smallest window that holds every unknown pixel and its neighbours; empty if none is.

    >>> window_of(np.array([[0, 0, 0, 255, 1, 1]], np.uint8))
    (slice(0, 1, None), slice(2, 5, None))
    """
    unknown = marks == UNKNOWN
    ends: list[slice] = []
    for axis in (1, 0):
        places = np.flatnonzero(unknown.any(axis=axis))
        if not places.size:
            return slice(0, 0), slice(0, 0)
        ends.append(slice(max(int(places[0]) - 1, 0), int(places[-1]) + 2))
    height, width = marks.shape
    return slice(ends[0].start, min(ends[0].stop, height)), slice(
        ends[1].start, min(ends[1].stop, width)
    )


class BandCut:
    """Minimum cuts over the pixels that are not known, one after the other.

    What is known is left out of the graph: an edge to it is a share of the unknown pixel's own
    cost. Costs beyond what a pixel's edges could outweigh decide it, so they are cut down to that;
    capacities are then integers of 22 bits, which are faster to cut than floats, and exact.

    Args:
        marks: 0, 1, or 255 for what is not known.
        boundary: for each offset, the cost of p and p + offset on different sides, 0 or more, of
            any unit.
        offsets: steps to neighbours, one of each pair of opposite ones.
    """

    def __init__(
        self,
        marks: UInt8[ndarray, "height width"],
        boundary: Float32[ndarray, "offset height width"],
        *,
        offsets: Sequence[Sequence[int]] = EIGHT,
    ) -> None:
        self._marks, self._offsets = marks, offsets
        self._unknown = marks == UNKNOWN
        self._scale = _FINEST / max(2 * float(boundary.max(initial=0)) * len(offsets), 1e-6)
        self._edges = np.rint(boundary * np.float32(self._scale)).astype(np.int32)
        # From the known: + towards the object, - towards the background.
        sign = np.where(self._unknown, 0, 2 * (marks == OBJECT).astype(np.int32) - 1)
        self._fixed = np.zeros(marks.shape, np.int32)
        self._limit = np.ones(marks.shape, np.int32)
        for edge, (start, end) in zip(self._edges, neighbours(marks.shape, offsets), strict=True):
            self._fixed[start] += edge[start] * sign[end]
            self._fixed[end] += edge[start] * sign[start]
            edge[start] *= self._unknown[start] & self._unknown[end]
            self._limit[start] += edge[start]
            self._limit[end] += edge[start]
        self._limit[~self._unknown] = 0
        self._terminal = np.zeros(marks.shape, np.int32)
        self._cut: GridCut | None = None

    def labels(
        self, difference: Float32[ndarray, "height width"]
    ) -> UInt8[ndarray, "height width"]:
        """Labels of least energy; from the last call's flow on, if there was one.

        Args:
            difference: how much more it costs a pixel to be background than object.
        """
        if not self._unknown.any():
            return self._marks
        wanted = np.rint(difference.astype(np.float64) * self._scale) + self._fixed
        terminal = np.clip(wanted, -self._limit, self._limit).astype(np.int32)
        if self._cut is None:
            source, sink = np.maximum(terminal, 0), np.maximum(-terminal, 0)
            self._cut = GridCut(source, sink, self._edges, offsets=self._offsets)
        else:
            self._cut.add_terminals(terminal - self._terminal, np.zeros_like(terminal))
        self._terminal = terminal
        self._cut.solve()
        return np.where(self._unknown, self._cut.source_side.astype(np.uint8), self._marks)


def _any_in_block(mask: ndarray, factor: int) -> ndarray:
    image = torch.from_numpy(mask.astype(np.float32))[None]
    return F.max_pool2d(image, factor, ceil_mode=True)[0].numpy() > 0
