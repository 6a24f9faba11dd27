"""The one resize rule: a pixel is a square, its centre lies half a pixel inside.

Output pixel i of n covers the source from i * m / n to (i + 1) * m / n, so that images, labels and
score maps of one scene stay on top of each other at every size (`align_corners=False`).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Integer, Shaped
from torch import Tensor

from segscape.ops.interpolation import interpolate


def resize_image(
    image: Shaped[Tensor, "channel _ _"], size: tuple[int, int]
) -> Shaped[Tensor, "channel _ _"]:
    """Resize an image bilinearly, averaging over what one pixel covers when it shrinks.

    Args:
        image: uint8 from 0 to 255, or float32; the type is kept.
        size: height and width in pixels, each at least 1.

    Raises:
        ValueError: when the size is less than 1 x 1.

    >>> resize_image(torch.tensor([[[0, 100, 200, 40]]], dtype=torch.uint8), (1, 2)).tolist()
    [[[71, 117]]]
    """
    _refuse_empty(size)
    if tuple(image.shape[1:]) == tuple(size):
        return image
    is_float = image.is_floating_point()
    if 1 in (*image.shape[1:], *size):
        # torch's antialiased kernels misread memory with an axis of length 1 (torch 2.15): some
        # results are wrong, some calls fail.
        rows, columns = (
            _triangle(source, target).to(image.device)
            for source, target in zip(image.shape[1:], size, strict=True)
        )
        resized = rows @ image.float() @ columns.T
        return resized if is_float else resized.round().clamp_(0, 255).to(torch.uint8)
    # The kernel for uint8 is fast and on the CPU only.
    direct = is_float or image.device.type == "cpu"
    resized = F.interpolate(
        image[None] if direct else image[None].float(),
        size=tuple(size),
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )[0]
    return resized if direct else resized.round().to(torch.uint8)


def resize_labels(labels: Integer[Tensor, "_ _"], size: tuple[int, int]) -> Integer[Tensor, "_ _"]:
    """Resize ids: each pixel takes the id under its centre, so that no new id appears.

    Args:
        labels: ids of any integer type, which is kept.
        size: height and width in pixels, each at least 1.

    Raises:
        ValueError: when the size is less than 1 x 1.

    >>> resize_labels(torch.tensor([[1, 2, 3]]), (2, 6)).tolist()
    [[1, 1, 2, 2, 3, 3], [1, 1, 2, 2, 3, 3]]
    """
    return resize_nearest(labels, size)


def resize_nearest(
    values: Shaped[Tensor, "height width"], size: tuple[int, int]
) -> Shaped[Tensor, "_ _"]:
    """Resize values of any type as `resize_labels` does ids: for weights and masks.

    Raises:
        ValueError: when the size is less than 1 x 1.

    >>> resize_nearest(torch.tensor([[0.5, 2.0, 8.0]]), (1, 1)).tolist()
    [[2.0]]
    """
    _refuse_empty(size)
    if tuple(values.shape) == tuple(size):
        return values
    rows = _nearest(values.shape[0], size[0]).to(values.device)
    columns = _nearest(values.shape[1], size[1]).to(values.device)
    if values.dtype == torch.uint8 and values.device.type == "cpu":
        # numpy takes single bytes more than twice as fast.
        taken = values.numpy().take(rows.numpy(), 0).take(columns.numpy(), 1)
        return torch.from_numpy(taken)
    return values.index_select(0, rows).index_select(1, columns)


def resize_maps(
    maps: Float[Tensor, "batch channel _ _"], size: tuple[int, int]
) -> Float[Tensor, "batch channel _ _"]:
    """Resize logits or score maps bilinearly, differentiably; shrinking does not average.

    After `torch.use_deterministic_algorithms(True)` by matrix products (`ops/interpolation.py`),
    whose gradient is the same bits at every run on CUDA; torch then asks for the environment
    variable CUBLAS_WORKSPACE_CONFIG=:4096:8 there.

    Args:
        maps: any values.
        size: height and width in pixels, each at least 1.

    Raises:
        ValueError: when the size is less than 1 x 1.

    >>> resize_maps(torch.tensor([[[[0.0, 4.0]]]]), (1, 4)).tolist()
    [[[[0.0, 1.0, 3.0, 4.0]]]]
    """
    _refuse_empty(size)
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    if torch.are_deterministic_algorithms_enabled():
        return interpolate(maps, size)
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def resize_logits(
    logits: Float[Tensor, "batch category _ _"], size: tuple[int, int]
) -> Float[Tensor, "batch category _ _"]:
    """Resize logits as `resize_maps` does, in float32 and plain memory order, as the loss wants.

    Both are changed before the map is large.

    Args:
        logits: any values.
        size: height and width in pixels, each at least 1.

    Raises:
        ValueError: when the size is less than 1 x 1.

    >>> resize_logits(torch.ones(1, 1, 1, 1, dtype=torch.bfloat16), (1, 2)).tolist()
    [[[[1.0, 1.0]]]]
    """
    return resize_maps(logits.float().contiguous(), size)


def _triangle(source: int, target: int) -> Float[Tensor, "target source"]:
    """Bilinear weights, widened to what one pixel of the result covers when it shrinks."""
    scale = source / target
    centers = (torch.arange(target) + 0.5) * scale
    distances = (torch.arange(source) + 0.5 - centers[:, None]).abs() / max(scale, 1.0)
    weights = (1 - distances).clamp_(min=0)
    return weights / weights.sum(1, keepdim=True)


def _nearest(source: int, target: int) -> Int64[Tensor, "_"]:
    # floor((i + 1/2) * source / target) in whole numbers: no rounding error at any size.
    return (torch.arange(target) * 2 + 1) * source // (2 * target)


def _refuse_empty(size: tuple[int, int]) -> None:
    if size[0] < 1 or size[1] < 1:
        raise ValueError(f"cannot resize to {size[0]} x {size[1]} pixels: ask for at least 1 x 1")
