"""Test-time flips, quarter turns and scales: the mean of the scores of several views of an image.

As in L.-C. Chen et al.: Rethinking Atrous Convolution, 2017, arXiv:1706.05587, sec. 4.1: left-right
flips and several scales, averaged; and, for images that have no up, as in O. Ronneberger et al.:
U-Net, 2015, arXiv:1505.04597, sec. 4, turned views. Scores are averaged here, not logits, so that a
view that is sure does not outvote the others by the size of its logits.

Differences from the U-Net paper: it averages seven rotations and does not name their angles; here
the turns are those by 0, 90, 180 and 270 degrees, which move pixels onto pixels. With flips these
are the eight symmetries of the square.
"""

import math
from collections.abc import Sequence
from itertools import product
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
    turns: bool,
    scales: Sequence[float],
) -> Float[Tensor, "batch category height width"]:
    """Score each image at each scale, as it is, turned and flipped left-right, and average.

    Args:
        score: called once per view.
        images: 0..255.
        flips: whether each view is also scored flipped.
        turns: whether each scale is also scored turned by 90, 180 and 270 degrees; height and width
            change places at odd turns.
        scales: factors of height and width; 1 is the image itself.

    Raises:
        StructureError: when there is no scale, or one is not positive.
    """
    refuse_scales(scales)
    quarters = range(4 if turns else 1)
    flip_or_not = (False, True) if flips else (False,)
    views = list(product(scales, quarters, flip_or_not))
    total = _scores_of_view(score, images, *views[0])
    for view in views[1:]:
        total = total + _scores_of_view(score, images, *view)
    return total / len(views)


def _scores_of_view(
    score: ScoreBatch,
    images: UInt8[Tensor, "batch channel height width"],
    scale: float,
    quarters: int,
    flip: bool,
) -> Float[Tensor, "batch category height width"]:
    """Scale, turn, flip, score, and go the same way back."""
    size = Size(*images.shape[2:])
    view = torch.rot90(_resized(images, scaled(size, scale)), quarters, (2, 3))
    scores = score(view.flip(3)).flip(3) if flip else score(view)
    return resize_maps(torch.rot90(scores, -quarters, (2, 3)), size)


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
