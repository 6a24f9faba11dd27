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

from segscape.ops.processes import sum_over_processes
from segscape.ops.unknown_labels import unknown_labels
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
        StructureError: when `smooth` is negative and, on the CPU, for a label that is neither a
            category nor ignored.

    >>> logits = 50 * torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.0]]]])
    >>> round(float(soft_dice(logits, torch.tensor([[[0, 1]]]))), 4)
    0.0
    """
    if smooth < 0:
        raise StructureError(f"soft_dice: smooth {smooth} is negative: give 0 or more pixels")
    logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    scores = logits.softmax(1)
    valid = labels != ignore_id
    weights = valid.to(scores.dtype)
    if pixel_weights is not None:
        weights = weights * pixel_weights
    known = labels.where(valid, 0)
    if known.device.type == "cpu" and known.numel() and not _all_within(known, logits.shape[1]):
        unknown = unknown_labels(labels, logits.shape[1], ignore_id)
        raise StructureError(
            f"soft_dice got labels {unknown} for {logits.shape[1]} categories and ignore_id "
            f"{ignore_id}: map or ignore them"
        )

    # Nothing here but the scores is as large as the scores: a product of them with a one-hot truth
    # would take longer than the rest of the loss.
    predicted = (scores.square() if squared else scores).flatten(2) @ weights.flatten(1)[:, :, None]
    predicted = predicted.squeeze(2)
    hits = scores.gather(1, known[:, None]).squeeze(1) * weights
    overlap = _sum_by_label(hits, known, logits.shape[1])
    true = _sum_by_label(weights, known, logits.shape[1])
    counted = weights.sum((1, 2))[:, None]
    if per_image:
        losses, judged = _mean_over_categories(
            overlap, predicted, true, counted, smooth, present_only
        )
        total, images = sum_over_processes(
            torch.stack([losses.sum(), judged.sum().to(losses)])
        ).unbind()
        return total / images.clamp(min=1)
    sums = [part.sum(0) for part in (overlap, predicted, true, counted)]
    overlap, predicted, true, counted = sum_over_processes(torch.cat(sums)).split(
        [len(part) for part in sums]
    )
    losses, _ = _mean_over_categories(
        overlap[None], predicted[None], true[None], counted[None], smooth, present_only
    )
    return losses[0]


def _all_within(labels: Int64[Tensor, "batch height width"], categories: int) -> bool:
    lowest, highest = torch.aminmax(labels)
    return bool(lowest >= 0) and bool(highest < categories)


def _sum_by_label(
    values: Float[Tensor, "batch height width"],
    labels: Int64[Tensor, "batch height width"],
    categories: int,
) -> Float[Tensor, "batch {categories}"]:
    """The sum of the values under each label, image by image."""
    if labels.device.type != "cpu":
        # Elsewhere `index_add` is made of atomic additions whose order, and so the bits, vary.
        ids = torch.arange(categories, device=labels.device).reshape(1, -1, 1, 1)
        return torch.where(labels[:, None] == ids, values[:, None], 0).sum((2, 3))
    images = torch.arange(len(labels))[:, None, None]
    sums = values.new_zeros(len(labels) * categories)
    places = (labels + categories * images).flatten()
    return sums.index_add(0, places, values.flatten()).reshape(-1, categories)


def _mean_over_categories(
    overlap: Float[Tensor, "group category"],
    predicted: Float[Tensor, "group category"],
    true: Float[Tensor, "group category"],
    counted: Float[Tensor, "group 1"],
    smooth: float,
    present_only: bool,
) -> tuple[Float[Tensor, "group"], Float[Tensor, "group"]]:
    """The loss of each group of pixels, and 1 where there was something to learn from, else 0."""
    size = predicted + true + smooth
    dice = (2 * overlap + smooth) / torch.where(size > 0, size, 1)
    judged = (true > 0) if present_only else (counted > 0).expand_as(true)
    number = judged.sum(1)
    losses = torch.where(judged, 1 - dice, 0).sum(1) / number.clamp(min=1)
    return losses, (number > 0).to(losses.dtype)
