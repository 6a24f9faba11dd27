"""Bilinear and bicubic resampling as two matrix products, R x C^T: the same bits at every run.

R. Keys: Cubic convolution interpolation for digital image processing, 1981,
doi:10.1109/TASSP.1981.1163711, for the cubic weights.

On CUDA the gradient of `torch.nn.functional.interpolate` is a sum by atomic additions in whatever
order the threads arrive, so that two runs of one seed drift apart. A product of matrices has a
fixed order, forward and backward; the gradient is R^T g C.

Differences from the paper: the free parameter is -3/4, as in torch and OpenCV; Keys derives -1/2.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Method = Literal["bilinear", "bicubic"]

_SHARPNESS = -0.75


def interpolate(
    maps: Float[Tensor, "batch channel _ _"], size: tuple[int, int], *, method: Method = "bilinear"
) -> Float[Tensor, "batch channel _ _"]:
    """Resize maps by the one resize rule (`ops/resize.py`); shrinking does not average.

    Equals `torch.nn.functional.interpolate` with `align_corners=False` but for rounding. Sums run
    in float32 or float64, also under autocast.

    Args:
        maps: finite values; a nan or an infinity spreads over its row and its column.
        size: height and width in pixels, each at least 1.
        method: "bilinear" over two, "bicubic" over four neighbours a side.

    Raises:
        ValueError: when the size is less than 1 x 1.

    >>> interpolate(torch.tensor([[[[0.0, 4.0]]]]), (1, 4)).tolist()
    [[[[0.0, 1.0, 3.0, 4.0]]]]
    """
    with torch.autocast(maps.device.type, enabled=False):
        x = maps if maps.dtype == torch.float64 else maps.float()
        rows, columns = (
            interpolation_matrix(source, target, method=method).to(x)
            for source, target in zip(maps.shape[2:], size, strict=True)
        )
        return (rows @ (x @ columns.T)).to(maps.dtype)


def interpolation_matrix(
    source: int, target: int, *, method: Method = "bilinear"
) -> Float[Tensor, "{target} {source}"]:
    """The weights, in float64, with which each pixel of a resized line sums those of the source.

    Args:
        source: pixels of the line, 1 or more.
        target: pixels wanted, 1 or more.
        method: "bilinear" or "bicubic".

    Raises:
        ValueError: when a length is less than 1.

    >>> interpolation_matrix(2, 4).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    if source < 1 or target < 1:
        raise ValueError(f"cannot resize {source} to {target} pixels: give lengths of at least 1")
    # Where the centre of each target pixel lies among the centres of the source's.
    position = (torch.arange(target, dtype=torch.float64) + 0.5) * (source / target) - 0.5
    reach = 1 if method == "bilinear" else 2
    neighbors = position.floor()[:, None] + torch.arange(1 - reach, reach + 1)
    distances = (position[:, None] - neighbors).abs()
    weights = 1 - distances if method == "bilinear" else _cubic(distances)
    # Beyond the border its pixel is repeated.
    places = neighbors.long().clamp(0, source - 1)
    matrix = torch.zeros(target, source, dtype=torch.float64)
    return matrix.scatter_add(1, places, weights)


def _cubic(distance: Float[Tensor, "target 4"]) -> Float[Tensor, "target 4"]:
    """Keys' piecewise cubic of the distance in pixels, its free parameter `_SHARPNESS`."""
    a = _SHARPNESS
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * a
    return torch.where(distance <= 1, near, far)
