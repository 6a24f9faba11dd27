"""Gaussian filtering on the pixel grid, for many values per pixel at once.

The result at pixel i is the sum over all pixels j of the grid, i among them, of
exp(-|p_i - p_j|^2 / 2 s^2) v_j, with positions p in pixels and nothing beyond the border. Row and
column sums are taken one after the other, up to 4 s away: what is left out is 0.01 % of the sum.

Time O(n s c) for c values at n pixels.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32

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
@numba.njit(cache=True, nogil=True, fastmath=True)
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
        values: of all pixels, those of one pixel side by side.
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
    margin = (len(taps) - 1) * count
    # With a margin on both sides for what lies beyond the border, and one float more than needed.
    line = np.zeros(row_length + 2 * margin, np.float32)
    middle = line[margin : margin + row_length]
    pixels = middle.reshape(width, count)
    sums = np.empty(row_length, np.float32)
    sums_of = sums.reshape(width, count)
    for y in range(first, first + out.shape[0] // width):
        center = values[y]
        weight = taps[0] * rows_in[y]
        for j in range(row_length):
            middle[j] = weight * center[j]
        for tap in range(1, len(taps)):
            above = max(y - tap, 0)
            below = min(y + tap, height - 1)
            weight_above = taps[tap] * rows_in[above] * np.float32(y - tap >= 0)
            weight_below = taps[tap] * rows_in[below] * np.float32(y + tap < height)
            one = values[above]
            other = values[below]
            for j in range(row_length):
                middle[j] += weight_above * one[j] + weight_below * other[j]
        for x in range(width):
            for value in range(count):
                pixels[x, value] *= columns_in[x]
        for j in range(row_length):
            sums[j] = taps[0] * middle[j]
        for tap in range(1, len(taps)):
            weight = taps[tap]
            left = line[margin - tap * count : margin - tap * count + row_length]
            right = line[margin + tap * count : margin + tap * count + row_length]
            for j in range(row_length):
                sums[j] += weight * (left[j] + right[j])
        place = (y - first) * width
        for x in range(width):
            scale = rows_out[y] * columns_out[x]
            for value in range(count):
                out[place + x, value] += scale * sums_of[x, value]
