"""How much neighbouring pixels differ: what a boundary between them costs.

Boykov and Jolly 2001, "Interactive graph cuts for optimal boundary & region segmentation of objects
in N-D images" (doi:10.1109/ICCV.2001.937505), with the sharpness from the image itself as in Rother,
Kolmogorov and Blake 2004, "GrabCut" (doi:10.1145/1015706.1015720).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from segscape.ops.max_flow import EIGHT

Slices = tuple[slice, ...]


def boundary_costs(
    pixels: Float32[ndarray, "channel height width"],
    *,
    offsets: Sequence[Sequence[int]] = EIGHT,
    sharpness: float | None = None,
) -> tuple[Float32[ndarray, "offset height width"], float]:
    """What it costs to cut between p and p + offset: exp(-sharpness |z_p - z_q|^2) / |offset|.

    Args:
        pixels: of any unit.
        offsets: (down, right) steps to neighbours, one of each pair of opposite ones.
        sharpness: per squared unit of the pixels, 0 or more; None for 1 / (2 x the mean of
            |z_p - z_q|^2 over all pairs of neighbours), and for 0 where all are equal.

    Returns:
        the costs, 0 where p + offset is outside, and the sharpness.

    >>> costs, sharpness = boundary_costs(np.array([[[0, 1, 1]]], np.float32), offsets=((0, 1),))
    >>> costs.round(3).tolist(), sharpness
    ([[[0.36800000071525574, 1.0, 0.0]]], 1.0)
    """
    costs = np.zeros((len(offsets), *pixels.shape[1:]), np.float32)
    total, count = 0.0, 0
    for cost, (start, end) in zip(costs, neighbours(pixels.shape[1:], offsets), strict=True):
        difference = pixels[(slice(None), *end)] - pixels[(slice(None), *start)]
        cost[start] = np.einsum("cyx,cyx->yx", difference, difference)
        total += float(cost.sum(dtype=np.float64))
        count += cost[start].size
    if sharpness is None:
        sharpness = count / (2 * total) if total > 0 else 0.0
    for cost, offset, (start, _) in zip(
        costs, offsets, neighbours(pixels.shape[1:], offsets), strict=True
    ):
        inside = cost[start]
        np.multiply(inside, np.float32(-sharpness), out=inside)
        np.exp(inside, out=inside)
        inside *= np.float32(1 / np.hypot(*offset))
    return costs, sharpness


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
