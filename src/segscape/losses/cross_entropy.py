"""Cross entropy over categories, with weights for categories and for pixels.

Szegedy et al. 2016 (arXiv:1512.00567), section 7, for label smoothing; Ronneberger et al. 2015
(arXiv:1505.04597), equation 1, for weights of pixels.

Differences from the papers: the U-Net paper sums over pixels, here it is the mean with the same
weights, so that the learning rate does not depend on the size of the images.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from segscape.ops.processes import sum_over_processes
from segscape.ops.unknown_labels import label_fault, shape_fault, unknown_labels
from segscape.structures.errors import StructureError

_SUM = 2  # ATen's number for reduction="sum"


def cross_entropy(
    logits: Float[Tensor, "batch category height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    class_weights: Float[Tensor, "category"] | None = None,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Average -log p(label) over the pixels that count.

    L = sum_i u_i w[y_i] (-log p_i[y_i]) / sum_i u_i w[y_i], where i runs over the pixels of the
    batch, of all processes together, whose label y_i is not ignored, u are the pixel weights and w
    the class weights. With u = 1 this is torch's `cross_entropy(..., weight=w, reduction="mean")`,
    except that a batch with nothing to learn from gives 0 with gradient 0 instead of nan.

    With label smoothing e, -log p[y] becomes (1 - e) (-log p[y]) + e / C sum_c w[c] / w[y]
    (-log p[c]): a share of the target spread evenly over the C categories; the class weights enter
    as they do in torch.

    Args:
        logits: raw scores; any memory format.
        labels: 0..category-1 or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.
        class_weights: 0 or more, one per category; None for 1 everywhere.
        label_smoothing: in [0, 1).

    Raises:
        StructureError: for class weights of another number, a smoothing outside [0, 1), for labels
            of another size and, on the CPU, a label that is neither a category nor ignored.

    >>> logits = torch.zeros(1, 4, 1, 2)
    >>> bool(cross_entropy(logits, torch.tensor([[[3, 255]]])).isclose(torch.tensor(4.0).log()))
    True
    """
    categories = logits.shape[1]
    if class_weights is not None and len(class_weights) != categories:
        raise StructureError(
            f"cross_entropy got {len(class_weights)} class weights for {categories} categories: "
            "give one each"
        )
    if not 0 <= label_smoothing < 1:
        raise StructureError(f"cross_entropy: label_smoothing {label_smoothing} is not in [0, 1)")
    if fault := shape_fault(logits, labels, pixel_weights):
        raise StructureError(f"cross_entropy got {fault}")
    # Half precision cannot hold the sum over many pixels.
    logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    log_scores = F.log_softmax(logits, 1)
    weights = None if class_weights is None else class_weights.to(log_scores)
    try:
        if pixel_weights is None and label_smoothing == 0 and logits.device.type == "cpu":
            # The sum and the sum of weights in one pass over the labels. Not on other devices,
            # where this sum is made by atomic additions whose order, and so the bits, vary.
            total, weight = torch.ops.aten.nll_loss2d_forward(
                log_scores, labels, weights, _SUM, ignore_id
            )
        else:
            total, weight = _sums(
                log_scores, labels, ignore_id, pixel_weights, weights, label_smoothing
            )
    except IndexError as error:
        unknown = unknown_labels(labels, categories, ignore_id)
        raise StructureError(
            f"cross_entropy got labels {unknown} for {categories} categories and ignore_id "
            f"{ignore_id}: map or ignore them"
        ) from error
    total, weight = sum_over_processes(torch.stack([total, weight])).unbind()
    return total / torch.where(weight > 0, weight, 1)


def binary_cross_entropy(
    logits: Float[Tensor, "batch 1 height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    foreground_weight: float = 1.0,
) -> Float[Tensor, ""]:
    """Average -[y log p + (1 - y) log(1 - p)] over the pixels that count, p = sigmoid(logit).

    This is `cross_entropy` of the two-category logits (0, x) with class weights
    (1, foreground_weight). A batch with nothing to learn from gives 0 with gradient 0.

    Args:
        logits: raw scores of the foreground.
        labels: 1 for foreground, 0 for background, or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.
        foreground_weight: 0 or more; how often a foreground pixel counts.

    Raises:
        StructureError: for a negative weight, for labels of another size and, on the CPU, for a
            label that is neither 0, 1 nor ignored.

    >>> loss = binary_cross_entropy(torch.zeros(1, 1, 1, 2), torch.tensor([[[1, 255]]]))
    >>> bool(loss.isclose(torch.tensor(2.0).log()))
    True
    """
    if foreground_weight < 0:
        raise StructureError(
            f"binary_cross_entropy: foreground_weight {foreground_weight} is negative"
        )
    if fault := label_fault(logits, labels, ignore_id, pixel_weights, binary=True):
        raise StructureError(f"binary_cross_entropy got {fault}")
    x = logits.squeeze(1)
    x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    foreground = labels == 1
    weights = torch.where(foreground, foreground_weight, 1.0).to(x)
    weights = weights.where(labels != ignore_id, 0)
    if pixel_weights is not None:
        weights = weights * pixel_weights
    terms = F.softplus(torch.where(foreground, -x, x)) * weights
    total, weight = sum_over_processes(torch.stack([terms.sum(), weights.sum()])).unbind()
    return total / torch.where(weight > 0, weight, 1)


def _sums(
    log_scores: Float[Tensor, "batch category height width"],
    labels: Int64[Tensor, "batch height width"],
    ignore_id: int,
    pixel_weights: Float[Tensor, "batch height width"] | None,
    class_weights: Float[Tensor, "category"] | None,
    smoothing: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The sum of the weighted terms and the sum of the weights, here in this process."""
    categories = log_scores.shape[1]
    terms = F.nll_loss(
        log_scores, labels, weight=class_weights, ignore_index=ignore_id, reduction="none"
    )
    valid = labels != ignore_id
    if smoothing > 0:
        spread = (
            log_scores.sum(1)
            if class_weights is None
            else torch.einsum("bchw,c->bhw", log_scores, class_weights)
        )
        terms = (1 - smoothing) * terms - smoothing / categories * spread.where(valid, 0)
    if class_weights is None:
        weights = valid.to(log_scores.dtype)
    else:
        # Long enough that the ignored id, negative or not, finds a 0 of its own.
        table = class_weights.new_zeros(categories + abs(ignore_id) + 1)
        table[:categories] = class_weights
        weights = table[labels]
    if pixel_weights is not None:
        terms = terms * pixel_weights
        weights = weights * pixel_weights
    return terms.sum(), weights.sum().to(log_scores.dtype)
