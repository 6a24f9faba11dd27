"""The two steps of SLIC's k-means: pixels to the nearest center in sight, centers to the mean."""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32
from numpy import ndarray


@numba.njit(cache=True, nogil=True)
@no_type_check
def move_to_lowest_gradient(
    pixels: Float32[ndarray, "channel height width"], centers: Float64[ndarray, "center 2"]
) -> None:
    """Move each center to the pixel of lowest gradient among the 3 x 3 about it, in place.

    The gradient is |I(x+1, y) - I(x-1, y)|^2 + |I(x, y+1) - I(x, y-1)|^2; beyond the border the
    pixels of the border repeat.
    """
    channels, height, width = pixels.shape
    for k in range(centers.shape[0]):
        middle_y, middle_x = int(centers[k, 0] + 0.5), int(centers[k, 1] + 0.5)
        lowest = np.inf
        for y in range(max(middle_y - 1, 0), min(middle_y + 2, height)):
            for x in range(max(middle_x - 1, 0), min(middle_x + 2, width)):
                above, below = max(y - 1, 0), min(y + 1, height - 1)
                left, right = max(x - 1, 0), min(x + 1, width - 1)
                gradient = 0.0
                for channel in range(channels):
                    across = pixels[channel, y, right] - pixels[channel, y, left]
                    down = pixels[channel, below, x] - pixels[channel, above, x]
                    gradient += across * across + down * down
                if gradient < lowest:
                    lowest = gradient
                    centers[k, 0], centers[k, 1] = y, x


@numba.njit(cache=True, nogil=True)
@no_type_check
def assign_pixels(
    pixels: Float32[ndarray, "channel height width"],
    centers: Float32[ndarray, "center feature"],
    nearness: Float32[ndarray, " center"],
    reach_y: float,
    reach_x: float,
    labels: Int32[ndarray, "height width"],
    distances: Float32[ndarray, "height width"],
) -> None:
    """Give every pixel the center of least D^2 = d_color^2 + nearness d_xy^2 in sight, in place.

    A pixel that no center sees keeps its label. Of equal centers the first is taken.

    Args:
        pixels: colours, or any features.
        centers: y, x, then the colour.
        nearness: m^2 / S^2 of each center.
        reach_y: rows that a center sees above and below itself.
        reach_x: columns that it sees to either side.
        labels: written.
        distances: D^2, written.
    """
    channels, height, width = pixels.shape
    distances[:] = np.inf
    line = np.empty(width, np.float32)
    found = np.empty(width, np.float32)
    for k in range(centers.shape[0]):
        own, weight = np.int32(k), nearness[k]
        center_y, center_x = centers[k, 0], centers[k, 1]
        top = max(int(np.ceil(center_y - reach_y)), 0)
        bottom = min(int(center_y + reach_y) + 1, height)
        left = max(int(np.ceil(center_x - reach_x)), 0)
        right = min(int(center_x + reach_x) + 1, width)
        across = line[: right - left]
        for i in range(right - left):
            off = np.float32(left + i) - center_x
            across[i] = weight * off * off
        # Short loops over one row each, which a processor takes eight or sixteen pixels at a time.
        for y in range(top, bottom):
            off = np.float32(y) - center_y
            down = weight * off * off
            if channels == 3:
                one, two, three = centers[k, 2], centers[k, 3], centers[k, 4]
                first = pixels[0, y, left:right]
                second = pixels[1, y, left:right]
                third = pixels[2, y, left:right]
                for i in range(right - left):
                    a, b, c = first[i] - one, second[i] - two, third[i] - three
                    found[i] = across[i] + down + a * a + b * b + c * c
            else:
                for i in range(right - left):
                    found[i] = across[i] + down
                for channel in range(channels):
                    row, color = pixels[channel, y, left:right], centers[k, channel + 2]
                    for i in range(right - left):
                        gap = row[i] - color
                        found[i] += gap * gap
            nearest, label = distances[y, left:right], labels[y, left:right]
            for i in range(right - left):
                if found[i] < nearest[i]:
                    nearest[i] = found[i]
                    label[i] = own


@numba.njit(cache=True, nogil=True)
@no_type_check
def update_centers(
    pixels: Float32[ndarray, "channel height width"],
    labels: Int32[ndarray, "height width"],
    centers: Float32[ndarray, "center feature"],
) -> None:
    """Move every center to the mean of its pixels, in place; one without pixels stays.

    Args:
        pixels: colours, or any features.
        labels: the center of each pixel.
        centers: y, x, then the colour; written.
    """
    channels, height, width = pixels.shape
    sums = np.zeros((centers.shape[0], channels + 3), np.float64)
    for y in range(height):
        for x in range(width):
            total = sums[labels[y, x]]
            total[0] += 1
            total[1] += y
            total[2] += x
            if channels == 3:
                total[3] += pixels[0, y, x]
                total[4] += pixels[1, y, x]
                total[5] += pixels[2, y, x]
            else:
                for channel in range(channels):
                    total[channel + 3] += pixels[channel, y, x]
    for k in range(centers.shape[0]):
        if sums[k, 0] > 0:
            for i in range(channels + 2):
                centers[k, i] = sums[k, i + 1] / sums[k, 0]


@numba.njit(cache=True, nogil=True)
@no_type_check
def largest_color_distances(
    pixels: Float32[ndarray, "channel height width"],
    labels: Int32[ndarray, "height width"],
    centers: Float32[ndarray, "center feature"],
    largest: Float32[ndarray, " center"],
) -> None:
    """Find the largest d_color^2 between each center and its pixels; 0 where it has none.

    Args:
        pixels: colours, or any features.
        labels: the center of each pixel.
        centers: y, x, then the colour.
        largest: written.
    """
    channels, height, width = pixels.shape
    largest[:] = 0
    for y in range(height):
        for x in range(width):
            k = labels[y, x]
            distance = np.float32(0)
            for channel in range(channels):
                gap = pixels[channel, y, x] - centers[k, channel + 2]
                distance += gap * gap
            largest[k] = max(largest[k], distance)
