"""How much scores and truth overlap: the sums that Dice, Jaccard and Tversky are made of."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from segscape.ops.processes import sum_over_processes


@dataclass(frozen=True)
class SoftOverlap:
    """Weighted sums over the counted pixels of a group: one image, or the whole batch.

    Args:
        hits: sum of p g: scores of a category where it is true.
        predicted: sum of p (or p^2): all its scores.
        true: sum of g: pixels where it is true.
        counted: sum of 1: all pixels that are not ignored.
        per_image: whether the groups are the images of this process, or one group is the batch of
            all processes together.
    """

    hits: Float[Tensor, "group category"]
    predicted: Float[Tensor, "group category"]
    true: Float[Tensor, "group category"]
    counted: Float[Tensor, "group 1"]
    per_image: bool

    def mean(
        self, losses: Float[Tensor, "group category"], *, present_only: bool
    ) -> Float[Tensor, ""]:
        """Average losses over the categories, then over the images that have counted pixels.

        The mean runs over the categories that are true somewhere in the group (`present_only`), or
        over all of them, and divides by *their* number. With nothing to average it is 0 with
        gradient 0.
        """
        judged = (self.true > 0) if present_only else (self.counted > 0).expand_as(self.true)
        number = judged.sum(1)
        means = torch.where(judged, losses, 0).sum(1) / number.clamp(min=1)
        if not self.per_image:
            return means[0]
        groups = (number > 0).sum().to(means)
        total, groups = sum_over_processes(torch.stack([means.sum(), groups])).unbind()
        return total / groups.clamp(min=1)


def softmax_overlap(
    logits: Float[Tensor, "batch category height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int,
    pixel_weights: Float[Tensor, "batch height width"] | None,
    per_image: bool,
    squared: bool = False,
) -> SoftOverlap:
    """Overlap of each category's softmax scores with its pixels.

    Args:
        logits: raw scores.
        labels: 0..category-1 or `ignore_id`.
        ignore_id: pixels of this label enter no sum.
        pixel_weights: how often each pixel counts; None for once.
        per_image: one group for each image of this process; otherwise one for the batch of all.
        squared: sum p^2 as `predicted`.

    >>> logits = 50 * torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]])
    >>> softmax_overlap(
    ...     logits, torch.tensor([[[0, 1]]]), ignore_id=255, pixel_weights=None, per_image=True
    ... ).hits.tolist()
    [[1.0, 1.9287498933537385e-22]]
    """
    scores = _single(logits).softmax(1)
    valid = labels != ignore_id
    weights = valid.to(scores.dtype)
    if pixel_weights is not None:
        weights = weights * pixel_weights
    known = labels.where(valid, 0)
    # Nothing here but the scores is as large as the scores: a product of them with a one-hot truth
    # would take longer than the rest of the loss.
    predicted = (scores.square() if squared else scores).flatten(2) @ weights.flatten(1)[:, :, None]
    hits = scores.gather(1, known[:, None]).squeeze(1) * weights
    return _grouped(
        _sum_by_label(hits, known, logits.shape[1]),
        predicted.squeeze(2),
        _sum_by_label(weights, known, logits.shape[1]),
        weights.sum((1, 2))[:, None],
        per_image,
    )


def sigmoid_overlap(
    logits: Float[Tensor, "batch 1 height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int,
    pixel_weights: Float[Tensor, "batch height width"] | None,
    per_image: bool,
    squared: bool = False,
) -> SoftOverlap:
    """Overlap of the foreground's sigmoid scores with its pixels: one category, label 1.

    Args:
        logits: raw scores of the foreground.
        labels: 1 for foreground, 0 for background, or `ignore_id`.
        ignore_id: pixels of this label enter no sum.
        pixel_weights: how often each pixel counts; None for once.
        per_image: one group for each image of this process; otherwise one for the batch of all.
        squared: sum p^2 as `predicted`.

    >>> sigmoid_overlap(
    ...     torch.zeros(1, 1, 1, 2), torch.tensor([[[0, 1]]]), ignore_id=255, pixel_weights=None,
    ...     per_image=True,
    ... ).hits.tolist()
    [[0.5]]
    """
    scores = _single(logits).sigmoid().squeeze(1)
    weights = (labels != ignore_id).to(scores.dtype)
    if pixel_weights is not None:
        weights = weights * pixel_weights
    foreground = weights.where((labels == 1) & (ignore_id != 1), 0)
    return _grouped(
        (scores * foreground).sum((1, 2))[:, None],
        ((scores.square() if squared else scores) * weights).sum((1, 2))[:, None],
        foreground.sum((1, 2))[:, None],
        weights.sum((1, 2))[:, None],
        per_image,
    )


def _grouped(
    hits: Float[Tensor, "batch category"],
    predicted: Float[Tensor, "batch category"],
    true: Float[Tensor, "batch category"],
    counted: Float[Tensor, "batch 1"],
    per_image: bool,
) -> SoftOverlap:
    if per_image:
        return SoftOverlap(hits, predicted, true, counted, per_image)
    sums = torch.cat([hits.sum(0), predicted.sum(0), true.sum(0), counted.sum(0)])
    categories = hits.shape[1]
    hits, predicted, true, counted = sum_over_processes(sums)[None].split(
        [categories, categories, categories, 1], dim=1
    )
    return SoftOverlap(hits, predicted, true, counted, per_image)


def _single(logits: Tensor) -> Tensor:
    """Half precision cannot hold the sum over many pixels."""
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


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
