"""Lovasz-softmax and Lovasz hinge: the Jaccard loss itself, extended to real-valued scores.

Berman, Rannen Triki and Blaschko 2018, "The Lovasz-softmax loss: a tractable surrogate for the
optimization of the intersection-over-union measure in neural networks" (arXiv:1705.08790),
equations 8, 9 and 11 to 14, algorithm 1.

Differences from the paper: pixels may have weights, with which a pixel counts as if it were there
that often. `per_image` averages over the images that have something to judge; the released code
also counts all-void images, as 0, which shrinks the gradient of the others.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from segscape.ops.processes import concatenate_over_processes, sum_over_processes
from segscape.ops.unknown_labels import label_fault
from segscape.structures.errors import StructureError


def lovasz_softmax(
    logits: Float[Tensor, "batch category height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    per_image: bool = False,
    present_only: bool = True,
) -> Float[Tensor, ""]:
    """Average the Lovasz extension of the Jaccard loss over the categories (equation 12).

    The error of a pixel is 1 - p at its true category and p at every other (equation 11), p being
    the softmax scores. A category's errors are sorted from large to small, and each is weighed by
    what the Jaccard loss 1 - IoU grows by when that pixel becomes wrong in addition to the ones
    before it (equation 9). One sort for each category judged. Pixels are those of the batch, of all
    processes together, that are not ignored. A batch with nothing to learn from gives 0 with
    gradient 0.

    Args:
        logits: raw scores.
        labels: 0..category-1 or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.
        per_image: a loss for each image, averaged over the images that have counted pixels;
            otherwise one loss for the whole batch, which is closer to the data set's mean IoU.
        present_only: average over the categories that are true somewhere (in the image, or in the
            batch), not over all.

    Raises:
        StructureError: for labels of another size and, on the CPU, for a label that is neither a
            category nor ignored.

    >>> logits = torch.zeros(1, 2, 1, 2)
    >>> float(lovasz_softmax(logits, torch.tensor([[[0, 1]]])))
    0.5
    """
    categories = logits.shape[1]
    if fault := label_fault(logits, labels, ignore_id, pixel_weights):
        raise StructureError(f"lovasz_softmax got {fault}")
    scores = _single(logits).softmax(1)

    def errors(images: slice, category: int) -> Float[Tensor, "pixel"]:
        p = scores.detach()[images, category]
        return torch.where(labels[images] == category, 1 - p, p).flatten()  # equation 11

    weights = _weights(labels, ignore_id, pixel_weights, scores)
    growth = _growth_of_all(errors, labels, weights, range(categories), per_image, present_only)
    valid = weights > 0
    own = labels.where(valid, 0)[:, None]
    at_true = growth.gather(1, own)
    # The sum of growth times error with p factored out, in one pass over the scores.
    signed = growth.scatter(1, own, -at_true)
    return sum_over_processes((scores * signed).sum() + at_true.sum())


def lovasz_hinge(
    logits: Float[Tensor, "batch 1 height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    per_image: bool = False,
) -> Float[Tensor, ""]:
    """The Lovasz extension of the foreground's Jaccard loss over hinge errors (equation 8).

    The error of a pixel is max(0, 1 - x) where it is foreground, max(0, 1 + x) where it is not.
    Without any foreground the loss is the largest error: the Jaccard loss of an empty set is 1 as
    soon as one pixel is wrong.

    Args:
        logits: raw scores x of the foreground.
        labels: 1 for foreground, 0 for background, or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.
        per_image: a loss for each image, averaged over the images that have counted pixels;
            otherwise one loss for the whole batch.

    Raises:
        StructureError: for labels of another size and, on the CPU, for a label that is neither 0, 1
            nor ignored.

    >>> float(lovasz_hinge(torch.zeros(1, 1, 1, 2), torch.tensor([[[0, 1]]])))
    1.0
    """
    if fault := label_fault(logits, labels, ignore_id, pixel_weights, binary=True):
        raise StructureError(f"lovasz_hinge got {fault}")
    x = _single(logits).squeeze(1)

    hinge = (1 + torch.where(labels == 1, -x, x)).relu()

    def errors(images: slice, category: int) -> Float[Tensor, "pixel"]:
        return hinge.detach()[images].flatten()

    weights = _weights(labels, ignore_id, pixel_weights, x)
    growth = _growth_of_all(errors, labels, weights, range(1, 2), per_image, present_only=False)
    return sum_over_processes((hinge * growth.squeeze(1)).sum())


def _growth_of_all(
    errors: Callable[[slice, int], Tensor],
    labels: Int64[Tensor, "batch height width"],
    weights: Float[Tensor, "batch height width"],
    categories: range,
    per_image: bool,
    present_only: bool,
) -> Float[Tensor, "batch category height width"]:
    """The derivative of the loss by each error: `_growth` over the categories and images judged."""
    growth = weights.new_zeros(len(labels), len(categories), *labels.shape[1:])
    judged_images = 0
    groups = [slice(i, i + 1) for i in range(len(labels))] if per_image else [slice(None)]
    for images in groups:
        everyones_labels, everyones_weights = labels[images].flatten(), weights[images].flatten()
        own = slice(None)
        if not per_image:
            everyones_labels, own = concatenate_over_processes(everyones_labels)
            everyones_weights, _ = concatenate_over_processes(everyones_weights)
        counted = everyones_labels[everyones_weights > 0]
        judged = [c for c in categories if _is_judged(counted, c, present_only)]
        judged_images += bool(judged)
        for category in judged:
            mine = errors(images, category)
            everyones = mine if per_image else concatenate_over_processes(mine)[0]
            found = _growth(everyones, everyones_labels == category, everyones_weights)[own]
            place = growth[images, category - categories.start]
            place.copy_(found.reshape(place.shape)).div_(len(judged))
    if per_image:
        total = sum_over_processes(torch.tensor(judged_images, device=growth.device))
        growth /= total.clamp(min=1)
    return growth


def _is_judged(counted: Int64[Tensor, "pixel"], category: int, present_only: bool) -> bool:
    return bool((counted == category).any()) if present_only else len(counted) > 0


def _growth(
    errors: Float[Tensor, "pixel"], true: Bool[Tensor, "pixel"], weights: Float[Tensor, "pixel"]
) -> Float[Tensor, "pixel"]:
    """What the Jaccard loss grows by at each pixel, from the largest error on (algorithm 1)."""
    # Pixels without weight go last, so that they part no others.
    order = _descending(errors.where(weights > 0, -1))
    signed = torch.where(true, weights, -weights)[order].double()
    wrong = signed.abs().cumsum(0)
    missed = signed.clamp(min=0).cumsum(0)
    union = missed[-1] + wrong - missed
    growth = (wrong / union).diff(
        prepend=wrong.new_zeros(1)
    )  # equation 9: 1 - IoU is wrong / union
    return torch.empty_like(errors).scatter_(0, order, growth.to(errors.dtype))


def _descending(x: Float[Tensor, "pixel"]) -> Int64[Tensor, "pixel"]:
    if x.device.type != "cpu":
        return x.argsort(descending=True)
    # Vectorised, unlike torch's: a quarter of the time.
    return torch.from_numpy(np.argsort(-x.numpy()))


def _weights(
    labels: Int64[Tensor, "batch height width"],
    ignore_id: int,
    pixel_weights: Float[Tensor, "batch height width"] | None,
    scores: Tensor,
) -> Float[Tensor, "batch height width"]:
    weights = (labels != ignore_id).to(scores.dtype)
    return weights if pixel_weights is None else weights * pixel_weights.to(scores.dtype)


def _single(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
