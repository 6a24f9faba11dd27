"""Test-time flips and scales: the mean of the scores of several views of an image.

As in L.-C. Chen et al.: Rethinking Atrous Convolution, 2017, arXiv:1706.05587, sec. 4.1: left-right
flips and several scales, averaged; scores are averaged here, not logits, so that a view that is
sure does not outvote the others by the size of its logits.
"""

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from segscape.ops.resize import resize_image, resize_maps
from segscape.structures import Size, StructureError


@runtime_checkable
class ScoreBatch(Protocol):
    """Scores of images of one size."""

    def __call__(
        self, images: UInt8[Tensor, "batch channel height width"], /
    ) -> Float[Tensor, "batch category height width"]:
        """One score map per category, of the images' size."""
        ...


def average_views(
    score: ScoreBatch,
    images: UInt8[Tensor, "batch channel height width"],
    *,
    flips: bool,
    scales: Sequence[float],
) -> Float[Tensor, "batch category height width"]:
    """Score each image at each scale, as it is and flipped left-right, and average.

    Args:
        score: called once per view.
        images: 0..255.
        flips: whether each scale is also scored flipped.
        scales: factors of height and width; 1 is the image itself.

    Raises:
        StructureError: when there is no scale, or one is not positive.
    """
    refuse_scales(scales)
    size = Size(*images.shape[2:])
    total: Tensor | None = None
    for scale in scales:
        views = _resized(images, scaled(size, scale))
        for flip in (False, True) if flips else (False,):
            scores = score(views.flip(3)).flip(3) if flip else score(views)
            scores = resize_maps(scores, size)
            total = scores if total is None else total + scores
    if total is None:
        raise StructureError("scales is empty: give at least one, as 1.0")
    return total / (len(scales) * (2 if flips else 1))


def scaled(size: Size, scale: float) -> Size:
    """The size at a scale, at least 1 x 1.

    >>> scaled(Size(3, 100), 0.1)
    Size(height=1, width=10)
    """
    return Size(max(1, round(size.height * scale)), max(1, round(size.width * scale)))


def refuse_scales(scales: Sequence[float]) -> None:
    """Refuse scales that give no image.

    Raises:
        StructureError: when there is no scale, or one is not a positive number up to 16.
    """
    if not scales or any(not (math.isfinite(scale) and 0 < scale <= 16) for scale in scales):
        raise StructureError(
            f"scales {list(scales)}: give one or more positive factors up to 16, as 0.75 1 1.25"
        )


def _resized(
    images: UInt8[Tensor, "batch channel height width"], size: Size
) -> UInt8[Tensor, "batch channel _ _"]:
    if tuple(images.shape[2:]) == size:
        return images
    return torch.stack([resize_image(image, size) for image in images])
