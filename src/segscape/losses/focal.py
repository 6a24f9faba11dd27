"""Focal loss: cross entropy that pays less attention to what is already right.

Lin, Goyal, Girshick, He and Dollar 2017, "Focal loss for dense object detection"
(arXiv:1708.02002), equations 4 and 5.

Differences from the paper: the paper has a sigmoid for each category of an anchor and divides by
the number of anchors that hold an object. `focal` is the form for categories that exclude each
other, with a softmax; both divide by the weights of the pixels, as `cross_entropy` does, which
they equal at gamma = 0. Code that averages over all pixels, ignored ones too, scales the gradient
by the share of void.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from segscape.ops.processes import sum_over_processes
from segscape.ops.unknown_labels import label_fault
from segscape.structures.errors import StructureError


def focal(
    logits: Float[Tensor, "batch category height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    gamma: float = 2.0,
    class_weights: Float[Tensor, "category"] | None = None,
) -> Float[Tensor, ""]:
    """Average -(1 - p(label))^gamma log p(label) over the pixels that count.

    L = sum_i u_i w[y_i] (1 - p_i[y_i])^gamma (-log p_i[y_i]) / sum_i u_i w[y_i], where i runs over
    the pixels of the batch, of all processes together, whose label y_i is not ignored, u are the
    pixel weights and w the class weights (the paper's alpha, equation 5). A batch with nothing to
    learn from gives 0 with gradient 0.

    Args:
        logits: raw scores.
        labels: 0..category-1 or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.
        gamma: 0 or more; 0 is cross entropy.
        class_weights: 0 or more, one per category; None for 1 everywhere.

    Raises:
        StructureError: for a negative gamma, class weights of another number, for labels of another
            size and, on the CPU, a label that is neither a category nor ignored.

    >>> logits = torch.zeros(1, 2, 1, 2)
    >>> round(float(focal(logits, torch.tensor([[[1, 255]]]))), 4)  # (1/2)^2 log 2
    0.1733
    """
    categories = logits.shape[1]
    _check_gamma("focal", gamma)
    if class_weights is not None and len(class_weights) != categories:
        raise StructureError(
            f"focal got {len(class_weights)} class weights for {categories} categories: "
            "give one each"
        )
    if fault := label_fault(logits, labels, ignore_id, pixel_weights):
        raise StructureError(f"focal got {fault}")
    valid = labels != ignore_id
    known = labels.where(valid, 0)
    log_scores = F.log_softmax(_single(logits), 1).gather(1, known[:, None]).squeeze(1)
    weights = valid.to(log_scores.dtype)
    if class_weights is not None:
        weights = weights * class_weights.to(log_scores)[known]
    return _weighted_mean(log_scores, weights, pixel_weights, gamma)


def binary_focal(
    logits: Float[Tensor, "batch 1 height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    gamma: float = 2.0,
    alpha: float = 0.5,
) -> Float[Tensor, ""]:
    """The paper's form: a sigmoid, alpha_t and (1 - p_t)^gamma (equation 5).

    L = sum_i u_i a_i (1 - p_i)^gamma (-log p_i) / sum_i u_i a_i, where p_i is the score of pixel
    i's true side and a_i is alpha for the foreground, 1 - alpha for the background. This is `focal`
    of the two-category logits (0, x) with the class weights (1 - alpha, alpha).

    Args:
        logits: raw scores of the foreground.
        labels: 1 for foreground, 0 for background, or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.
        gamma: 0 or more; 0 is cross entropy.
        alpha: weight of the foreground, in [0, 1]; the paper's best is 0.25.

    Raises:
        StructureError: when an option is out of its range, for labels of another size and, on the
            CPU, for a label that is neither 0, 1 nor ignored.

    >>> round(float(binary_focal(torch.zeros(1, 1, 1, 2), torch.tensor([[[1, 255]]]))), 4)
    0.1733
    """
    _check_gamma("binary_focal", gamma)
    if not 0 <= alpha <= 1:
        raise StructureError(f"binary_focal: alpha {alpha} is not in [0, 1]")
    if fault := label_fault(logits, labels, ignore_id, pixel_weights, binary=True):
        raise StructureError(f"binary_focal got {fault}")
    foreground = labels == 1
    x = _single(logits).squeeze(1)
    log_scores = F.logsigmoid(torch.where(foreground, x, -x))
    weights = torch.where(foreground, alpha, 1 - alpha).to(log_scores)
    weights = weights.where(labels != ignore_id, 0)
    return _weighted_mean(log_scores, weights, pixel_weights, gamma)


def _weighted_mean(
    log_scores: Float[Tensor, "batch height width"],
    weights: Float[Tensor, "batch height width"],
    pixel_weights: Float[Tensor, "batch height width"] | None,
    gamma: float,
) -> Float[Tensor, ""]:
    if pixel_weights is not None:
        weights = weights * pixel_weights
    terms = -log_scores * weights
    if gamma > 0:
        # 1 - p without losing its digits; powers below 1 are infinitely steep at 0.
        rest = -torch.expm1(log_scores)
        terms = terms * rest.clamp(min=torch.finfo(rest.dtype).tiny) ** gamma
    total, weight = sum_over_processes(torch.stack([terms.sum(), weights.sum()])).unbind()
    return total / torch.where(weight > 0, weight, 1)


def _check_gamma(name: str, gamma: float) -> None:
    if gamma < 0:
        raise StructureError(f"{name}: gamma {gamma} is negative: give 0 or more")


def _single(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
