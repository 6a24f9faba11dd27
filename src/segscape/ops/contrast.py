"""How much neighbouring pixels differ: what a boundary between them costs.

Boykov and Jolly 2001, "Interactive graph cuts for optimal boundary & region segmentation of
objects in N-D images" (doi:10.1109/ICCV.2001.937505); the sharpness from the image itself as in
Rother, Kolmogorov and Blake 2004, "GrabCut" (doi:10.1145/1015706.1015720).
"""

from collections.abc import Iterator, Sequence
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Int64, Shaped
from numpy import ndarray

from segscape.ops.max_flow import EIGHT

Slices = tuple[slice, ...]


def boundary_costs(
    pixels: Float32[ndarray, "channel *grid"],
    *,
    offsets: Sequence[Sequence[int]] = EIGHT,
    sharpness: float | None = None,
) -> Float32[ndarray, "offset *grid"]:
    """What it costs to cut between p and p + offset: exp(-sharpness |z_p - z_q|^2) / |offset|.

    Args:
        pixels: of any unit, of an image or a volume.
        offsets: steps along the axes to neighbours, one of each pair of opposite ones.
        sharpness: per squared unit of the pixels, 0 or more; None for `mean_sharpness`.

    Returns:
        the costs, 0 where p + offset is outside.

    >>> boundary_costs(np.array([[[0, 1, 1]]], np.float32), offsets=((0, 1),)).round(3).tolist()
    [[[0.36800000071525574, 1.0, 0.0]]]
    """
    if sharpness is None:
        sharpness = mean_sharpness(pixels, offsets=offsets)
    costs = np.zeros((len(offsets), *pixels.shape[1:]), np.float32)
    for k, (start, end) in enumerate(neighbours(pixels.shape[1:], offsets)):
        square = costs[(k, *start)]
        for channel in pixels:
            square += np.square(channel[end] - channel[start])
        square *= np.float32(-sharpness)
        np.exp(square, out=square)
        square *= np.float32(1 / np.linalg.norm(offsets[k]))
    return costs


def mean_sharpness(
    pixels: Float32[ndarray, "channel *grid"], *, offsets: Sequence[Sequence[int]] = EIGHT
) -> float:
    """1 / (2 x the mean of |z_p - z_q|^2 over all pairs of neighbours); 0 where all are equal.

    >>> mean_sharpness(np.array([[[0, 1, 1]]], np.float32))
    1.0
    """
    flat = (1,) * (4 - pixels.ndim)
    deep = np.ascontiguousarray(pixels).reshape(len(pixels), *flat, *pixels.shape[1:])
    steps = np.array([(*(0 for _ in flat), *offset) for offset in offsets], np.int64)
    total = _sum_of_squares(deep, steps)
    inside = np.maximum(np.array(deep.shape[1:]) - np.abs(steps), 0)
    return int(inside.prod(axis=1).sum()) / (2 * total) if total > 0 else 0.0


def cost_of_cut(
    costs: Float32[ndarray, "offset *grid"],
    labels: Shaped[ndarray, "*grid"],
    *,
    offsets: Sequence[Sequence[int]] = EIGHT,
) -> float:
    """Add up the costs of all pairs of neighbours with different labels.

    >>> cost_of_cut(np.ones((1, 1, 3), np.float32), np.array([[0, 1, 0]]), offsets=((0, 1),))
    2.0
    """
    pairs = neighbours(labels.shape, offsets)
    return sum(
        float(cost[start][labels[start] != labels[end]].sum(dtype=np.float64))
        for cost, (start, end) in zip(costs, pairs, strict=True)
    )


def neighbours(
    shape: Sequence[int], offsets: Sequence[Sequence[int]]
) -> Iterator[tuple[Slices, Slices]]:
    """For each offset, where pairs of neighbours start and where they end.

    >>> list(neighbours((2, 3), ((1, -1),)))
    [((slice(0, 1, None), slice(1, 3, None)), (slice(1, 2, None), slice(0, 2, None)))]
    """
    for offset in offsets:
        start = tuple(
            slice(max(0, -s), max(0, n - max(0, s))) for s, n in zip(offset, shape, strict=True)
        )
        end = tuple(
            slice(max(0, s), max(0, n - max(0, -s))) for s, n in zip(offset, shape, strict=True)
        )
        yield start, end


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
@no_type_check
def _sum_of_squares(
    pixels: Float32[ndarray, "channel depth height width"], steps: Int64[ndarray, "offset 3"]
) -> float:
    """Sum of |z_p - z_q|^2 over all pairs of neighbours, by rows, so that rounding stays small."""
    channels, depth, height, width = pixels.shape
    total = 0.0
    for step in range(steps.shape[0]):
        behind, down, right = steps[step]
        for z in range(max(0, -behind), min(depth, depth - behind)):
            for y in range(max(0, -down), min(height, height - down)):
                for c in range(channels):
                    row = np.float32(0)
                    for x in range(max(0, -right), min(width, width - right)):
                        difference = pixels[c, z + behind, y + down, x + right] - pixels[c, z, y, x]
                        row += difference * difference
                    total += row
    return total
