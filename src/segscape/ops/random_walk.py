"""The chance that a walker over an image first meets each label among marked pixels.

L. Grady: Random Walks for Image Segmentation, TPAMI 2006, doi:10.1109/TPAMI.2006.233.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8
from numpy import ndarray

from segscape.ops.graph_laplacian import Laplacian, build_levels, solve

NOT_MARKED = 255
# Added to every weight, so that no pixel is cut off (section III-A of the paper).
_LEAST_WEIGHT = 1e-6


def first_met(
    pixels: Float32[ndarray, "channel height width"],
    marks: UInt8[ndarray, "height width"],
    *,
    beta: float,
    tolerance: float = 1e-5,
) -> Float32[ndarray, "label height width"]:
    """Find for each pixel and label how likely a walk from the pixel meets that label first.

    The walker steps to one of four neighbours, with a chance in proportion to
    w = exp(-beta g^2) (equation 1), g the distance of their colours as a share of the largest one
    in the image. So the colours' unit does not matter.

    Args:
        pixels: colours, or any features.
        marks: 0..k-1, each at least once; 255 = not marked.
        beta: 0 or more; larger values hold the walker back more at edges.
        tolerance: of the linear solver, relative.

    Returns:
        0..1, adding up to 1 over the labels.

    >>> marks = np.array([[0, 255, 255, 255, 1]], np.uint8)
    >>> first_met(np.zeros((1, 1, 5), np.float32), marks, beta=90.0)[0].round(3).tolist()
    [[1.0, 0.75, 0.5, 0.25, 0.0]]
    """
    labels = 1 + int(marks[marks != NOT_MARKED].max())
    chances = (marks == np.arange(labels)[:, None, None]).astype(np.float32)
    free = marks == NOT_MARKED
    if labels == 1 or not free.any():
        chances[0, free] = 1
        return chances
    *graph, into = _system(pixels, marks, free, beta, labels - 1)
    levels = build_levels(Laplacian(*graph))
    # Equation 12: one system for each label but the last, with the same matrix.
    found = np.stack([solve(levels, right, tolerance=tolerance) for right in into])
    found = found.clip(0, 1)
    found /= np.maximum(found.sum(0), 1)
    chances[:-1, free] = found
    chances[-1, free] = 1 - found.sum(0)
    return chances.clip(0, 1)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _square(pixels: Float32[ndarray, "channel height width"], y, x, to_y, to_x) -> np.float32:  # noqa: ANN001
    total = np.float32(0)
    for channel in range(pixels.shape[0]):
        gap = pixels[channel, y, x] - pixels[channel, to_y, to_x]
        total += gap * gap
    return total


@numba.njit(cache=True, nogil=True)
@no_type_check
def _system(
    pixels: Float32[ndarray, "channel height width"],
    marks: UInt8[ndarray, "height width"],
    free: np.ndarray,
    beta: float,
    labels: int,
) -> tuple[
    Int32[ndarray, " node_and_1"],
    Int32[ndarray, " tie"],
    Float32[ndarray, " tie"],
    Float32[ndarray, " node"],
    Float64[ndarray, "label node"],
]:
    """L_U and the columns of -B^T M (equation 10): marked pixels are the ground."""
    _, height, width = pixels.shape
    largest = np.float32(0)
    nodes = np.full((height, width), -1, np.int32)
    count = 0
    for y in range(height):
        for x in range(width):
            if free[y, x]:
                nodes[y, x] = count
                count += 1
            if x + 1 < width:
                largest = max(largest, _square(pixels, y, x, y, x + 1))
            if y + 1 < height:
                largest = max(largest, _square(pixels, y, x, y + 1, x))
    scale = -beta / largest if largest > 0 else 0.0
    starts = np.zeros(count + 1, np.int32)
    neighbors, weights = np.empty(4 * count, np.int32), np.empty(4 * count, np.float32)
    ground, into = np.zeros(count, np.float32), np.zeros((labels, count), np.float64)
    end = 0
    for y in range(height):
        for x in range(width):
            node = nodes[y, x]
            if node < 0:
                continue
            for to_y, to_x in ((y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)):
                if to_y < 0 or to_y >= height or to_x < 0 or to_x >= width:
                    continue
                square = _square(pixels, y, x, to_y, to_x)
                weight = np.float32(np.exp(scale * square) + _LEAST_WEIGHT)
                if nodes[to_y, to_x] >= 0:
                    neighbors[end], weights[end] = nodes[to_y, to_x], weight
                    end += 1
                else:
                    ground[node] += weight
                    if marks[to_y, to_x] < labels:
                        into[marks[to_y, to_x], node] += weight
            starts[node + 1] = end
    return starts, neighbors[:end].copy(), weights[:end].copy(), ground, into
