"""What regions are next to each other, and what each of them is like, in one pass over the pixels.

The region adjacency graph: A. Trémeau, P. Colantoni: Regions Adjacency Graph Applied to Color Image
Segmentation, IEEE TIP 2000, doi:10.1109/83.841950.
"""

from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from numpy import ndarray


class RegionGraph(NamedTuple):
    """Regions as nodes; pairs of regions that touch along the sides of pixels as edges.

    Args:
        edges: pairs of ids, the smaller first, sorted.
        lengths: sides of pixels along which the two touch.
        contrasts: the Euclidean distance of colours across these sides, on average.
    """

    edges: Int32[ndarray, "edge 2"]
    lengths: Int64[ndarray, " edge"]
    contrasts: Float64[ndarray, " edge"]


class RegionFeatures(NamedTuple):
    """What each region is like.

    Args:
        areas: pixels.
        colors: the mean of each channel.
        variances: of each channel, within the region.
        centroids: mean y and x, in pixels from the middle of pixel (0, 0).
        perimeters: sides of pixels along which the region ends, those on the image's border too.
        rims: of these, the sides on the image's border.
        boxes: left, top, right, bottom in pixels, right and bottom exclusive.
    """

    areas: Int64[ndarray, " region"]
    colors: Float64[ndarray, "region channel"]
    variances: Float64[ndarray, "region channel"]
    centroids: Float64[ndarray, "region 2"]
    perimeters: Int64[ndarray, " region"]
    rims: Int64[ndarray, " region"]
    boxes: Int64[ndarray, "region 4"]


def region_graph(
    regions: Int32[ndarray, "height width"], pixels: Float32[ndarray, "channel rows columns"]
) -> RegionGraph:
    """List the pairs of regions that touch, how long and with what contrast.

    Args:
        regions: ids 0..n-1.
        pixels: colours, or any features.

    Raises:
        ValueError: for negative ids, or pixels of another size.

    >>> regions = np.array([[0, 0, 1], [2, 2, 1]], np.int32)
    >>> graph = region_graph(regions, regions[None].astype(np.float32))
    >>> graph.edges.tolist(), graph.lengths.tolist(), graph.contrasts.tolist()
    ([[0, 1], [0, 2], [1, 2]], [1, 2, 1], [1.0, 2.0, 1.0])
    """
    count = _checked(regions, pixels)
    keys, contrasts = _sides(regions, pixels, count)
    order = np.argsort(keys, kind="stable")
    keys, contrasts = keys[order], contrasts[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    lengths = np.diff(starts, append=keys.size)
    edges = np.stack([keys[starts] // count, keys[starts] % count], 1).astype(np.int32)
    sums = np.add.reduceat(contrasts, starts) if starts.size else np.zeros(0)
    return RegionGraph(edges, lengths, sums / lengths)


def region_features(
    regions: Int32[ndarray, "height width"], pixels: Float32[ndarray, "channel rows columns"]
) -> RegionFeatures:
    """Measure every region.

    Args:
        regions: ids 0..n-1, each used.
        pixels: colours, or any features.

    Raises:
        ValueError: for negative or unused ids, or pixels of another size.

    >>> regions = np.array([[0, 0, 1], [2, 2, 1]], np.int32)
    >>> features = region_features(regions, regions[None].astype(np.float32))
    >>> features.areas.tolist(), features.perimeters.tolist(), features.boxes[1].tolist()
    ([2, 2, 2], [6, 6, 6], [2, 0, 3, 2])
    >>> features.colors[:, 0].tolist(), features.centroids[1].tolist()
    ([0.0, 1.0, 2.0], [0.5, 2.0])
    """
    count = _checked(regions, pixels)
    areas, sides, rims = (np.zeros(count, np.int64) for _ in range(3))
    boxes = np.zeros((count, 4), np.int64)
    boxes[:, :2] = max(regions.shape)
    places = np.zeros((count, 2))
    colors, squares = (np.zeros((count, pixels.shape[0])) for _ in range(2))
    _measure(regions, pixels, areas, sides, rims, boxes, places, colors, squares)
    if not areas.all():
        raise ValueError(
            f"region features: {np.count_nonzero(areas == 0)} of the ids 0..{count - 1} have no "
            "pixels: number the regions without gaps"
        )
    colors /= areas[:, None]
    variances = np.maximum(squares / areas[:, None] - colors**2, 0)
    return RegionFeatures(areas, colors, variances, places / areas[:, None], sides, rims, boxes)


def _checked(
    regions: Int32[ndarray, "height width"], pixels: Float32[ndarray, "channel rows columns"]
) -> int:
    """The number of regions.

    Raises:
        ValueError: as above.
    """
    if pixels.shape[1:] != regions.shape:
        raise ValueError(
            f"regions of {regions.shape[0]} x {regions.shape[1]} pixels came with an image of "
            f"{pixels.shape[1]} x {pixels.shape[2]}: resize one to the other"
        )
    if regions.min() < 0:
        raise ValueError(f"regions hold the id {regions.min()}, expected 0 and above")
    return int(regions.max()) + 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _sides(
    regions: Int32[ndarray, "height width"],
    pixels: Float32[ndarray, "channel height width"],
    count: int,
) -> tuple[Int64[ndarray, " side"], Float64[ndarray, " side"]]:
    """Each side between two regions: the pair as smaller x count + larger, and the contrast."""
    height, width = regions.shape
    total = 0
    for y in range(height):
        for x in range(width):
            total += x + 1 < width and regions[y, x] != regions[y, x + 1]
            total += y + 1 < height and regions[y, x] != regions[y + 1, x]
    keys, contrasts = np.empty(total, np.int64), np.empty(total, np.float64)
    place = 0
    for y in range(height):
        for x in range(width):
            for beside_y, beside_x in ((y, x + 1), (y + 1, x)):
                if beside_y == height or beside_x == width:
                    continue
                one, other = regions[y, x], regions[beside_y, beside_x]
                if one != other:
                    square = 0.0
                    for channel in range(pixels.shape[0]):
                        gap = pixels[channel, y, x] - pixels[channel, beside_y, beside_x]
                        square += gap * gap
                    keys[place] = np.int64(min(one, other)) * count + max(one, other)
                    contrasts[place] = np.sqrt(square)
                    place += 1
    return keys, contrasts


@numba.njit(cache=True, nogil=True)
@no_type_check
def _measure(
    regions: Int32[ndarray, "height width"],
    pixels: Float32[ndarray, "channel height width"],
    areas: Int64[ndarray, " region"],
    sides: Int64[ndarray, " region"],
    rims: Int64[ndarray, " region"],
    boxes: Int64[ndarray, "region 4"],
    places: Float64[ndarray, "region 2"],
    colors: Float64[ndarray, "region channel"],
    squares: Float64[ndarray, "region channel"],
) -> None:
    """Sum over the runs of each row."""
    height, width = regions.shape
    for y in range(height):
        start = 0
        while start < width:
            region = regions[y, start]
            end = start + 1
            while end < width and regions[y, end] == region:
                end += 1
            areas[region] += end - start
            places[region, 0] += (end - start) * y
            places[region, 1] += (end - start) * (start + end - 1) * 0.5
            boxes[region, 0] = min(boxes[region, 0], start)
            boxes[region, 1] = min(boxes[region, 1], y)
            boxes[region, 2] = max(boxes[region, 2], end)
            boxes[region, 3] = max(boxes[region, 3], y + 1)
            sides[region] += 2
            rims[region] += (start == 0) + (end == width)
            for x in range(start, end):
                if y == 0 or regions[y - 1, x] != region:
                    sides[region] += 1
                    rims[region] += y == 0
                if y == height - 1 or regions[y + 1, x] != region:
                    sides[region] += 1
                    rims[region] += y == height - 1
            for channel in range(pixels.shape[0]):
                total = square = 0.0
                for x in range(start, end):
                    value = np.float64(pixels[channel, y, x])
                    total += value
                    square += value * value
                colors[region, channel] += total
                squares[region, channel] += square
            start = end
