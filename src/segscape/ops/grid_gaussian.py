"""Gaussian filtering on the pixel grid, for many values per pixel at once.

The result at pixel i is the sum over all pixels j of the grid, i among them, of
exp(-|p_i - p_j|^2 / 2 s^2) v_j, with positions p in pixels and nothing beyond the border. Row and
column sums are taken one after the other, up to 4 s away: what is left out is 0.01 % of the sum.

Time O(n s c) for c values at n pixels.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Int64

from segscape.ops.lanes import LANES, load, spread, store

_REACH = 4.0


def gaussian_taps(bandwidth_px: float) -> Float32[np.ndarray, "tap"]:
    """The kernel's values at 0, 1, 2 ... pixels.

    >>> gaussian_taps(1.0).round(2).tolist()
    [1.0, 0.6100000143051147, 0.14000000059604645, 0.009999999776482582, 0.0]
    """
    distance = np.arange(int(np.ceil(_REACH * bandwidth_px)) + 1)
    return np.exp(-0.5 * (distance / bandwidth_px) ** 2).astype(np.float32)


def sums_of_taps(taps: Float32[np.ndarray, "tap"], length: int) -> Float32[np.ndarray, "length"]:
    """What the kernel sums to around each of so many places in a line."""
    sums = np.concatenate([[0.0], np.cumsum(taps, dtype=np.float64)])
    reach = len(taps)
    place = np.arange(length)
    before = sums[np.minimum(place, reach - 1) + 1]
    behind = sums[np.minimum(length - 1 - place, reach - 1) + 1]
    return (before + behind - taps[0]).astype(np.float32)


# The shape checker of the tests must not wrap what numba compiles.
@numba.njit(cache=True, nogil=True)
@no_type_check
def _add_up(
    values: Float32[np.ndarray, "*place"],
    places: Int64[np.ndarray, "term"],
    weights: Float32[np.ndarray, "term"],
    terms: int,
    length: int,
    out: Float32[np.ndarray, "place"],
    start: int,
) -> None:
    """Write out[start + j] = sum_t weights[t] values[places[t] + j] for j in 0..length."""
    nothing = spread(np.float32(0))
    j = 0
    # Four sums side by side, as each waits for its last term.
    while j <= length - 4 * LANES:
        one, two, three, four = nothing, nothing, nothing, nothing
        for term in range(terms):
            weight = spread(weights[term])
            place = places[term] + j
            one = one + weight * load(values, place)
            two = two + weight * load(values, place + LANES)
            three = three + weight * load(values, place + 2 * LANES)
            four = four + weight * load(values, place + 3 * LANES)
        store(out, start + j, one)
        store(out, start + j + LANES, two)
        store(out, start + j + 2 * LANES, three)
        store(out, start + j + 3 * LANES, four)
        j += 4 * LANES
    while j < length:
        total = nothing
        for term in range(terms):
            total = total + spread(weights[term]) * load(values, places[term] + j)
        store(out, start + j, total)
        j += LANES


@numba.njit(cache=True, nogil=True)
@no_type_check
def filter_rows(
    values: Float32[np.ndarray, "height row"],
    taps: Float32[np.ndarray, "tap"],
    rows_in: Float32[np.ndarray, "height"],
    columns_in: Float32[np.ndarray, "width"],
    rows_out: Float32[np.ndarray, "height"],
    columns_out: Float32[np.ndarray, "width"],
    out: Float32[np.ndarray, "pixel value"],
    first: int,
) -> None:
    """Add to `out` the filtered values of the rows `first` and on.

    Args:
        values: of all pixels, those of one pixel side by side, a multiple of LANES.
        taps: of the kernel, as `gaussian_taps` gives them.
        rows_in: what the values of each row are multiplied by before.
        columns_in: likewise of each column.
        rows_out: what the sums of each row are multiplied by.
        columns_out: likewise of each column.
        out: some whole rows.
        first: the first of them.
    """
    height, row_length = values.shape
    width = len(columns_in)
    count = out.shape[1]
    reach = len(taps) - 1
    margin = reach * count
    # With a margin on both sides for what lies beyond the border.
    line = np.zeros(row_length + 2 * margin, np.float32)
    sums = np.empty(row_length, np.float32)
    both_sides = np.concatenate((taps[:0:-1], taps))
    steps = np.arange(2 * reach + 1) * count
    weights = np.empty(2 * reach + 1, np.float32)
    places = np.empty(2 * reach + 1, np.int64)
    for y in range(first, first + out.shape[0] // width):
        terms = 0
        for row in range(max(y - reach, 0), min(y + reach, height - 1) + 1):
            weights[terms] = taps[abs(row - y)] * rows_in[row]
            places[terms] = row * row_length
            terms += 1
        _add_up(values, places, weights, terms, row_length, line, margin)
        for x in range(width):
            scale = spread(columns_in[x])
            for j in range(margin + x * count, margin + (x + 1) * count, LANES):
                store(line, j, load(line, j) * scale)
        _add_up(line, steps, both_sides, len(both_sides), row_length, sums, 0)
        place = (y - first) * row_length
        for x in range(width):
            scale = spread(rows_out[y] * columns_out[x])
            for j in range(x * count, (x + 1) * count, LANES):
                store(out, place + j, load(out, place + j) + scale * load(sums, j))
