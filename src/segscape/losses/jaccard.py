"""Soft Jaccard, the intersection over union of scores and truth: the mean IoU made smooth.

Rahman and Wang 2016, "Optimizing intersection-over-union in deep neural networks for image
segmentation" (ISVC, doi:10.1007/978-3-319-50835-1_22), equations 3 and 4.

Differences from the paper: the paper has one foreground category (`binary_jaccard`); here
categories are averaged, and `smooth` steadies the ratio of rare ones.

Absent categories are treated as in `dice`: the mean divides by the number of categories it runs
over. Widespread code zeroes the terms of absent categories but divides by all, so that the size of
the gradient depends on which categories a batch holds, and has had no ignored id for long.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from segscape.ops.soft_overlap import SoftOverlap, sigmoid_overlap, softmax_overlap
from segscape.ops.unknown_labels import label_fault
from segscape.structures.errors import StructureError


def jaccard(
    logits: Float[Tensor, "batch category height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    smooth: float = 1.0,
    per_image: bool = False,
    present_only: bool = True,
) -> Float[Tensor, ""]:
    """Average 1 - (sum p g + smooth) / (sum p + sum g - sum p g + smooth) over the categories.

    p are the softmax scores of a category, g is 1 where it is true and 0 elsewhere; the sums run
    over the pixels of the batch, of all processes together, that are not ignored, each counted as
    often as its weight says. A batch with nothing to learn from gives 0 with gradient 0.

    Args:
        logits: raw scores.
        labels: 0..category-1 or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.
        smooth: in pixels, 0 or more.
        per_image: a loss for each image, averaged over the images that have counted pixels;
            otherwise one loss for the whole batch.
        present_only: average over the categories that are true somewhere (in the image, or in the
            batch), not over all.

    Raises:
        StructureError: when `smooth` is negative, for labels of another size and, on the CPU, for a
            label that is neither a category nor ignored.

    >>> logits = torch.zeros(1, 2, 1, 2)
    >>> round(float(jaccard(logits, torch.tensor([[[0, 1]]]), smooth=0.0)), 4)
    0.6667
    """
    _check_smooth("jaccard", smooth)
    if fault := label_fault(logits, labels, ignore_id, pixel_weights):
        raise StructureError(f"jaccard got {fault}")
    overlap = softmax_overlap(
        logits, labels, ignore_id=ignore_id, pixel_weights=pixel_weights, per_image=per_image
    )
    return overlap.mean(1 - _iou(overlap, smooth), present_only=present_only)


def binary_jaccard(
    logits: Float[Tensor, "batch 1 height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    smooth: float = 1.0,
    per_image: bool = False,
) -> Float[Tensor, ""]:
    """1 - IoU of the foreground's sigmoid scores, the paper's own case.

    Without any foreground it is P / (P + smooth): false alarms cost, there too.

    Args:
        logits: raw scores of the foreground.
        labels: 1 for foreground, 0 for background, or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.
        smooth: in pixels, 0 or more.
        per_image: a loss for each image, averaged over the images that have counted pixels;
            otherwise one loss for the whole batch.

    Raises:
        StructureError: when `smooth` is negative, for labels of another size and, on the CPU, for a
            label that is neither 0, 1 nor ignored.

    >>> round(float(binary_jaccard(torch.zeros(1, 1, 1, 2), torch.tensor([[[0, 1]]]))), 4)
    0.4
    """
    _check_smooth("binary_jaccard", smooth)
    if fault := label_fault(logits, labels, ignore_id, pixel_weights, binary=True):
        raise StructureError(f"binary_jaccard got {fault}")
    overlap = sigmoid_overlap(
        logits, labels, ignore_id=ignore_id, pixel_weights=pixel_weights, per_image=per_image
    )
    return overlap.mean(1 - _iou(overlap, smooth), present_only=False)


def _check_smooth(name: str, smooth: float) -> None:
    if smooth < 0:
        raise StructureError(f"{name}: smooth {smooth} is negative: give 0 or more pixels")


def _iou(overlap: SoftOverlap, smooth: float) -> Float[Tensor, "group category"]:
    union = overlap.predicted + overlap.true - overlap.hits + smooth
    # Where nothing is true and nothing predicted, the two agree.
    empty = union <= 0
    return torch.where(empty, 1, overlap.hits + smooth) / torch.where(empty, 1, union)
