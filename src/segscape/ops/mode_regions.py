"""Regions of pixels whose modes are near, and small regions joined to the most alike.

D. Comaniciu, P. Meer 2002, doi:10.1109/34.1000236, section 4.2, steps 2 to 4.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64


def join_modes(
    modes: Float32[np.ndarray, "coordinate height width"], *, radius_px: float
) -> Int32[np.ndarray, "height width"]:
    """Join each pixel with those of its 8 neighbours whose modes are near, and so on.

    Args:
        modes: row, column, then the channels in units of the colour bandwidth.
        radius_px: modes are near that are closer than this in place and than 1 in colour.

    Returns:
        Region ids 0..n-1 in the order of their first pixels.

    >>> modes = np.zeros((3, 1, 4), dtype=np.float32)
    >>> modes[2, 0] = [0.0, 0.4, 5.0, 5.0]
    >>> join_modes(modes, radius_px=2.0).tolist()
    [[0, 0, 1, 1]]
    """
    _, height, width = modes.shape
    parents = np.arange(height * width, dtype=np.int32)
    _join_near(modes, np.float32(radius_px) ** 2, parents)
    return _numbered(parents).reshape(height, width)


def join_points(
    modes: Float32[np.ndarray, "point dimension"],
) -> Int32[np.ndarray, "point"]:
    """Join points whose modes are closer than 1, and so on; ids 0..n-1.

    >>> join_points(np.array([[0.0], [0.9], [5.0]], dtype=np.float32)).tolist()
    [0, 0, 1]
    """
    widest = int(np.argmax(np.ptp(modes, axis=0)))
    order = np.argsort(modes[:, widest], kind="stable")
    parents = np.arange(len(modes), dtype=np.int32)
    _join_near_points(modes[order], widest, parents)
    roots = np.empty_like(parents)
    roots[order] = parents
    return _numbered(roots)


def merge_regions(
    regions: Int32[np.ndarray, "height width"],
    colors: Float32[np.ndarray, "channel height width"],
    *,
    smallest_px: int,
) -> Int32[np.ndarray, "height width"]:
    """Join neighbouring regions of like mean colour, then those that are too small.

    First all neighbours whose mean colours are closer than 1 are joined at once, again and again
    with the new means, until none are. Then the limit of size doubles from 2 pixels to
    `smallest_px`, so that the smallest regions find their place first; at each limit all regions
    below it join the neighbour of the nearest mean at once, until none is left.

    Args:
        regions: ids 0..n-1; neighbours are those of 8.
        colors: in units of the colour bandwidth.
        smallest_px: pixels that a region must have; one region is left where none has.

    Returns:
        Region ids 0..n-1 in the order of their first pixels.

    >>> regions = np.array([[0, 0, 1, 2, 2, 3, 3]], dtype=np.int32)
    >>> colors = np.array([[[0.0, 0.0, 2.0, 9.0, 9.0, 9.4, 9.4]]], dtype=np.float32)
    >>> merge_regions(regions, colors, smallest_px=2).tolist()
    [[0, 0, 0, 1, 1, 1, 1]]
    """
    count = int(regions.max()) + 1
    flat = regions.reshape(-1)
    sizes = np.bincount(flat, minlength=count)
    sums = np.stack([np.bincount(flat, channel.reshape(-1), count) for channel in colors], axis=1)
    borders = _borders(regions, count)
    parents = np.arange(count, dtype=np.int32)
    while _join_alike(borders, sizes, sums, parents):
        borders = _borders_left(borders, parents)
    limit = 1
    while limit < smallest_px:
        limit = min(2 * limit, smallest_px)
        while _absorb_below(limit, borders, sizes, sums, parents):
            borders = _borders_left(borders, parents)
    return _numbered(_roots(parents)[flat]).reshape(regions.shape)


def _borders(
    regions: Int32[np.ndarray, "height width"], count: int
) -> Int64[np.ndarray, "border 2"]:
    """The pairs of regions that touch, each once."""
    height, width = regions.shape
    codes: list[np.ndarray] = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        first = regions[: height - down, max(0, -right) : width - max(0, right)]
        second = regions[down:, max(0, right) : width - max(0, -right)]
        differs = first != second
        a, b = first[differs].astype(np.int64), second[differs].astype(np.int64)
        codes.append(np.minimum(a, b) * count + np.maximum(a, b))
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), count), axis=1)


def _borders_left(
    borders: Int64[np.ndarray, "border 2"], parents: Int32[np.ndarray, "region"]
) -> Int64[np.ndarray, "left 2"]:
    """The borders between what the regions have become."""
    joined = _roots(parents)[borders]
    return joined[joined[:, 0] != joined[:, 1]].astype(np.int64)


def _roots(parents: Int32[np.ndarray, "region"]) -> Int32[np.ndarray, "region"]:
    while True:
        above = parents[parents]
        if np.array_equal(above, parents):
            return parents
        parents = above


def _numbered(roots: Int32[np.ndarray, "pixel"]) -> Int32[np.ndarray, "pixel"]:
    """0..n-1 in the order of the first pixels."""
    ids = np.empty(roots.size, np.int32)
    _number(roots, np.full(int(roots.max()) + 1, -1, np.int32), ids)
    return ids


@numba.njit(cache=True, nogil=True)
@no_type_check
def _number(
    roots: Int32[np.ndarray, "pixel"],
    numbers: Int32[np.ndarray, "root"],
    ids: Int32[np.ndarray, "pixel"],
) -> None:
    count = 0
    for pixel in range(roots.size):
        root = roots[pixel]
        if numbers[root] < 0:
            numbers[root] = count
            count += 1
        ids[pixel] = numbers[root]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _find(parents: Int32[np.ndarray, "node"], node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@numba.njit(cache=True, nogil=True)
@no_type_check
def _join_near(
    modes: Float32[np.ndarray, "coordinate height width"],
    place_limit: np.float32,
    parents: Int32[np.ndarray, "pixel"],
) -> None:
    """Set the parent of each pixel to the first pixel of its region."""
    coordinates, height, width = modes.shape
    for y in range(height):
        for x in range(width):
            for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
                v = y + down
                u = x + right
                if v >= height or u < 0 or u >= width:
                    continue
                place = (modes[0, y, x] - modes[0, v, u]) ** 2
                place += (modes[1, y, x] - modes[1, v, u]) ** 2
                if place >= place_limit:
                    continue
                color = np.float32(0)
                for i in range(2, coordinates):
                    color += (modes[i, y, x] - modes[i, v, u]) ** 2
                if color < np.float32(1):
                    first = _find(parents, y * width + x)
                    second = _find(parents, v * width + u)
                    parents[max(first, second)] = min(first, second)
    for pixel in range(parents.size):
        parents[pixel] = _find(parents, pixel)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _join_near_points(
    modes: Float32[np.ndarray, "point dimension"],
    widest: int,
    parents: Int32[np.ndarray, "point"],
) -> None:
    """Set the parent of each point to the first of its cluster; `widest` is in rising order."""
    for first in range(parents.size):
        for second in range(first + 1, parents.size):
            if modes[second, widest] - modes[first, widest] >= np.float32(1):
                break
            distance = np.float32(0)
            for i in range(modes.shape[1]):
                distance += (modes[first, i] - modes[second, i]) ** 2
            if distance < np.float32(1):
                a = _find(parents, first)
                b = _find(parents, second)
                parents[max(a, b)] = min(a, b)
    for point in range(parents.size):
        parents[point] = _find(parents, point)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _join_alike(
    borders: Int64[np.ndarray, "border 2"],
    sizes: Int64[np.ndarray, "region"],
    sums: Float64[np.ndarray, "region channel"],
    parents: Int32[np.ndarray, "region"],
) -> bool:
    """Join all neighbours whose mean colours are closer than 1; False if there were none."""
    alike = np.zeros(borders.shape[0], np.bool_)
    for i in range(borders.shape[0]):
        alike[i] = _distance(borders[i, 0], borders[i, 1], sizes, sums) < 1.0
    for i in range(borders.shape[0]):
        if alike[i]:
            _join(borders[i, 0], borders[i, 1], sizes, sums, parents)
    return alike.any()


@numba.njit(cache=True, nogil=True)
@no_type_check
def _absorb_below(
    limit: int,
    borders: Int64[np.ndarray, "border 2"],
    sizes: Int64[np.ndarray, "region"],
    sums: Float64[np.ndarray, "region channel"],
    parents: Int32[np.ndarray, "region"],
) -> bool:
    """Join each region below the limit with its nearest neighbour; False if there was none."""
    nearest = np.full(sizes.size, -1, np.int32)
    least = np.full(sizes.size, np.inf)
    for i in range(borders.shape[0]):
        first = borders[i, 0]
        second = borders[i, 1]
        if sizes[first] >= limit and sizes[second] >= limit:
            continue
        distance = _distance(first, second, sizes, sums)
        if distance < least[first]:
            least[first] = distance
            nearest[first] = second
        if distance < least[second]:
            least[second] = distance
            nearest[second] = first
    small = sizes < limit
    joined = False
    for region in range(sizes.size):
        if nearest[region] >= 0 and small[region]:
            _join(region, nearest[region], sizes, sums, parents)
            joined = True
    return joined


@numba.njit(cache=True, nogil=True)
@no_type_check
def _distance(
    first: int,
    second: int,
    sizes: Int64[np.ndarray, "region"],
    sums: Float64[np.ndarray, "region channel"],
) -> float:
    """The squared distance between two regions' mean colours."""
    distance = 0.0
    for channel in range(sums.shape[1]):
        mean = sums[first, channel] / sizes[first]
        distance += (mean - sums[second, channel] / sizes[second]) ** 2
    return distance


@numba.njit(cache=True, nogil=True)
@no_type_check
def _join(
    first: int,
    second: int,
    sizes: Int64[np.ndarray, "region"],
    sums: Float64[np.ndarray, "region channel"],
    parents: Int32[np.ndarray, "region"],
) -> None:
    """Make one region of two, unless they are one; the lower root stands for both."""
    one = _find(parents, first)
    other = _find(parents, second)
    if one == other:
        return
    kept = min(one, other)
    gone = max(one, other)
    parents[gone] = kept
    sizes[kept] += sizes[gone]
    for channel in range(sums.shape[1]):
        sums[kept, channel] += sums[gone, channel]
