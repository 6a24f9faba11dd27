"""Regions of a grid of pixels, joined along the least edges first.

P. F. Felzenszwalb, D. P. Huttenlocher: Efficient Graph-Based Image Segmentation, IJCV 2004,
doi:10.1023/B:VISI.0000022288.19776.77, algorithm 1 on the grid graph of section 5. Written from the
paper; the authors' program is under another licence.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Int32, UInt64
from numpy import ndarray

_DIGIT_BITS = 11
_DIGITS = 1 << _DIGIT_BITS


def graph_regions(
    pixels: Float32[ndarray, "channel height width"], scale: float, smallest_px: int
) -> Int32[ndarray, "height width"]:
    """Join pixels to regions whose edges differ more than their insides.

    Edges join the eight neighbours and weigh the Euclidean distance of colours. In the order of
    their weights, an edge joins two regions if it weighs at most min(Int(C) + k / |C|) of both,
    where Int is the largest weight in the region's tree (equations 3 to 5). Then regions below the
    smallest size join across their least edges. Edges of equal weight keep their reading order.

    Args:
        pixels: colours; smoothed before, as the paper does by a Gaussian of 0.8 pixels.
        scale: k, in the unit of the colours: larger ones prefer larger regions; 0 or more.
        smallest_px: regions of fewer pixels are joined to another.

    Returns:
        Ids 0..n-1, in reading order. They are connected over eight neighbours.

    Raises:
        ValueError: for a negative scale.

    >>> pixels = np.zeros((1, 4, 6), np.float32)
    >>> pixels[:, :, 3:] = 100
    >>> graph_regions(pixels, 50.0, 1)[0].tolist()
    [0, 0, 0, 1, 1, 1]
    """
    if not scale >= 0:
        raise ValueError(f"regions on a graph: the scale is {scale}, expected 0 or more")
    edges = _sorted(_edges(pixels))
    return _join(edges, pixels.shape[1], pixels.shape[2], np.float32(scale), smallest_px)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _edges(pixels: Float32[ndarray, "channel height width"]) -> UInt64[ndarray, " edge"]:
    """Squared weights as the upper 32 bits, 4 x pixel + direction as the lower.

    The directions are right, down left, down, down right. The bits of a float that is not negative
    are in the order of its value.
    """
    channels, height, width = pixels.shape
    count = height * (width - 1) + (height - 1) * (3 * width - 2)
    edges = np.empty(count, np.uint64)
    squares = np.empty(width, np.float32)
    bits = squares.view(np.uint32)
    place = 0
    for y in range(height):
        for direction in range(4):
            if direction > 0 and y == height - 1:
                continue
            below = y if direction == 0 else y + 1
            shift = 1 if direction == 0 else direction - 2
            start, end = max(-shift, 0), min(width - shift, width)
            squares[:] = 0
            for channel in range(channels):
                here = pixels[channel, y, start:end]
                there = pixels[channel, below, start + shift : end + shift]
                for i in range(end - start):
                    gap = here[i] - there[i]
                    squares[i] += gap * gap
            base = 4 * (y * width + start) + direction
            for i in range(end - start):
                edges[place] = (np.uint64(bits[i]) << np.uint64(32)) | np.uint64(base + 4 * i)
                place += 1
    return edges


@numba.njit(cache=True, nogil=True)
@no_type_check
def _sorted(edges: UInt64[ndarray, " edge"]) -> UInt64[ndarray, " edge"]:
    """Sort by the upper 32 bits; equal ones stay in order. By digits, the lowest first."""
    other = np.empty_like(edges)
    places = np.zeros((3, _DIGITS), np.int64)
    mask = np.uint64(_DIGITS - 1)
    for i in range(edges.size):
        for turn in range(3):
            shift = np.uint64(32 + _DIGIT_BITS * turn)
            places[turn, np.int64((edges[i] >> shift) & mask)] += 1
    for turn in range(3):
        total = 0
        for digit in range(_DIGITS):
            here = places[turn, digit]
            places[turn, digit] = total
            total += here
        shift = np.uint64(32 + _DIGIT_BITS * turn)
        place = places[turn]
        for i in range(edges.size):
            digit = np.int64((edges[i] >> shift) & mask)
            other[place[digit]] = edges[i]
            place[digit] += 1
        edges, other = other, edges
    return edges


@numba.njit(cache=True, nogil=True)
@no_type_check
def _root(parents: Int32[ndarray, " pixel"], pixel: int) -> int:
    while parents[pixel] != pixel:
        parents[pixel] = parents[parents[pixel]]
        pixel = parents[pixel]
    return pixel


@numba.njit(cache=True, nogil=True)
@no_type_check
def _join(
    edges: UInt64[ndarray, " edge"], height: int, width: int, scale: np.float32, smallest: int
) -> Int32[ndarray, "height width"]:
    count = height * width
    parents = np.arange(count).astype(np.int32)
    sizes = np.ones(count, np.int32)
    # Int(C) + k / |C|; a single pixel has no edge inside
    limits = np.full(count, scale, np.float32)
    steps = np.array([1, width - 1, width, width + 1])
    weight_bits = np.zeros(1, np.uint32)
    weight = weight_bits.view(np.float32)
    left = 0
    for i in range(edges.size):
        low = np.int64(edges[i] & np.uint64(0xFFFFFFFF))
        pixel = low >> 2
        one, other = _root(parents, pixel), _root(parents, pixel + steps[low & 3])
        if one == other:
            continue
        weight_bits[0] = np.uint32(edges[i] >> np.uint64(32))
        length = np.sqrt(weight[0])
        if length <= min(limits[one], limits[other]):
            if sizes[one] < sizes[other]:
                one, other = other, one
            parents[other] = one
            sizes[one] += sizes[other]
            limits[one] = length + scale / np.float32(sizes[one])
        else:
            edges[left] = edges[i]
            left += 1
    for i in range(left):
        low = np.int64(edges[i] & np.uint64(0xFFFFFFFF))
        pixel = low >> 2
        one, other = _root(parents, pixel), _root(parents, pixel + steps[low & 3])
        if one != other and min(sizes[one], sizes[other]) < smallest:
            if sizes[one] < sizes[other]:
                one, other = other, one
            parents[other] = one
            sizes[one] += sizes[other]
    regions = np.empty(count, np.int32)
    ids = np.full(count, -1, np.int32)
    found = 0
    for pixel in range(count):
        root = _root(parents, pixel)
        if ids[root] < 0:
            ids[root] = found
            found += 1
        regions[pixel] = ids[root]
    return regions.reshape(height, width)
