"""Soft Dice: overlap of scores and truth, so that small categories count like large ones.

Milletari et al. 2016, V-Net (arXiv:1606.04797), section 3.

Differences from the paper: V-Net squares the scores in the denominator (`squared=True`) and has one
foreground category; the plain form, which most people use, is the default, and categories are
averaged by the rule below.

The rule for absent categories. A category that no counted pixel of the batch has ("absent") has no
overlap to gain. With `present_only=True` the mean runs over the present categories and divides by
*their* number; scores spent on an absent category still cost, since they are missing at the true
one. With `present_only=False` it runs over all categories, and an absent one costs
P / (P + smooth), which falls to 0 as its scores P do. Widespread code sets the terms of absent
categories to 0 and yet divides by the number of all: the size of the gradient then depends on
which categories a batch happens to hold.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from segscape.ops.soft_overlap import SoftOverlap, sigmoid_overlap, softmax_overlap
from segscape.ops.unknown_labels import label_fault
from segscape.structures.errors import StructureError


def soft_dice(
    logits: Float[Tensor, "batch category height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    squared: bool = False,
    smooth: float = 1.0,
    per_image: bool = False,
    present_only: bool = True,
) -> Float[Tensor, ""]:
    """Average 1 - (2 sum p g + smooth) / (sum p + sum g + smooth) over the categories.

    p are the softmax scores of a category, g is 1 where it is true and 0 elsewhere; the sums run
    over the pixels of the batch, of all processes together, that are not ignored, each counted as
    often as its weight says. A batch with nothing to learn from gives 0 with gradient 0.

    Args:
        logits: raw scores.
        labels: 0..category-1 or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.
        squared: sum p^2 instead of sum p in the denominator (V-Net).
        smooth: in pixels, 0 or more; keeps the ratio of rare categories steady.
        per_image: a loss for each image, averaged over the images that have counted pixels;
            otherwise one loss for the whole batch.
        present_only: average over the categories that are true somewhere (in the image, or in the
            batch), not over all.

    Raises:
        StructureError: when `smooth` is negative, for labels of another size and, on the CPU, for a
            label that is neither a category nor ignored.

    >>> logits = 50 * torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.0]]]])
    >>> round(float(soft_dice(logits, torch.tensor([[[0, 1]]]))), 4)
    0.0
    """
    _check_smooth("soft_dice", smooth)
    if fault := label_fault(logits, labels, ignore_id, pixel_weights):
        raise StructureError(f"soft_dice got {fault}")
    overlap = softmax_overlap(
        logits,
        labels,
        ignore_id=ignore_id,
        pixel_weights=pixel_weights,
        per_image=per_image,
        squared=squared,
    )
    return overlap.mean(1 - _dice(overlap, smooth), present_only=present_only)


def binary_dice(
    logits: Float[Tensor, "batch 1 height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    squared: bool = False,
    smooth: float = 1.0,
    per_image: bool = False,
) -> Float[Tensor, ""]:
    """1 - Dice of the foreground's sigmoid scores, the paper's own case.

    Without any foreground it is P / (P + smooth): false alarms cost, there too.

    Args:
        logits: raw scores of the foreground.
        labels: 1 for foreground, 0 for background, or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.
        squared: sum p^2 instead of sum p in the denominator (V-Net).
        smooth: in pixels, 0 or more.
        per_image: a loss for each image, averaged over the images that have counted pixels;
            otherwise one loss for the whole batch.

    Raises:
        StructureError: when `smooth` is negative, for labels of another size and, on the CPU, for a
            label that is neither 0, 1 nor ignored.

    >>> float(binary_dice(torch.zeros(1, 1, 1, 2), torch.tensor([[[0, 1]]]), smooth=0.0))
    0.5
    """
    _check_smooth("binary_dice", smooth)
    if fault := label_fault(logits, labels, ignore_id, pixel_weights, binary=True):
        raise StructureError(f"binary_dice got {fault}")
    overlap = sigmoid_overlap(
        logits,
        labels,
        ignore_id=ignore_id,
        pixel_weights=pixel_weights,
        per_image=per_image,
        squared=squared,
    )
    return overlap.mean(1 - _dice(overlap, smooth), present_only=False)


def _check_smooth(name: str, smooth: float) -> None:
    if smooth < 0:
        raise StructureError(f"{name}: smooth {smooth} is negative: give 0 or more pixels")


def _dice(overlap: SoftOverlap, smooth: float) -> Float[Tensor, "group category"]:
    size = overlap.predicted + overlap.true + smooth
    # Where nothing is true and nothing predicted, the two agree.
    empty = size <= 0
    return torch.where(empty, 1, 2 * overlap.hits + smooth) / torch.where(empty, 1, size)
