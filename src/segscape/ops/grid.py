"""Bilinear reading of values that stand on points, not on areas.

A stack of strided layers with odd kernels and symmetric padding, as in the first DeepLabs, has its
output i over input pixel i x stride, and the last one over (or beyond) the last pixel. Such scores
are read here. Maps whose pixels are areas, as images and labels, go through `ops/resize.py`.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def read_grid(
    maps: Float[Tensor, "batch channel _ _"], size: tuple[int, int], *, step: float
) -> Float[Tensor, "batch channel _ _"]:
    """Interpolate between points; reading (i, j) is taken at the point (i x step, j x step).

    Readings beyond the last point repeat it. Two matrix products: the same bits at every run, also
    of the gradient on CUDA. Sums run in float32 or float64, also under autocast.

    Args:
        maps: values at whole positions.
        size: number of readings, height and width, each at least 1.
        step: distance of readings, in points; 1 / 8 enlarges eight times.

    Raises:
        ValueError: when the size is less than 1 x 1 or the step not above 0.

    >>> read_grid(torch.tensor([[[[0.0, 4.0]]]]), (1, 6), step=1 / 4).tolist()
    [[[[0.0, 1.0, 2.0, 3.0, 4.0, 4.0]]]]
    """
    if min(size) < 1 or not step > 0:
        raise ValueError(
            f"cannot read {size[0]} x {size[1]} points at step {step}: ask for at least 1 x 1 and "
            "a step above 0"
        )
    with torch.autocast(maps.device.type, enabled=False):
        x = maps if maps.dtype == torch.float64 else maps.float()
        rows, columns = (
            _weights(points, readings, step).to(x)
            for points, readings in zip(maps.shape[2:], size, strict=True)
        )
        return (rows @ (x.contiguous() @ columns.T)).to(maps.dtype)


def _weights(points: int, readings: int, step: float) -> Float[Tensor, "{readings} {points}"]:
    positions = (torch.arange(readings, dtype=torch.float64) * step).clamp(max=points - 1)
    return (1 - (positions[:, None] - torch.arange(points)).abs()).clamp(min=0)
