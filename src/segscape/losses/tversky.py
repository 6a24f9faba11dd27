"""Tversky: an overlap in which misses and false alarms cost differently; and its focal form.

Salehi, Erdogmus and Gholipour 2017, "Tversky loss function for image segmentation using 3D fully
convolutional deep networks" (arXiv:1706.05721), equation 4. Abraham and Khan 2018, "A novel focal
Tversky loss function with improved attention U-Net for lesion segmentation" (arXiv:1810.07842),
equation 4.

Differences from the papers: categories are averaged, by the rule for absent ones in `dice`;
`smooth` steadies the ratio of rare ones. Which weight is which: in the first paper alpha weighs
false positives and beta false negatives, and so it is here; the second paper swaps the two, so its
alpha = 0.7, beta = 0.3 is `alpha=0.3, beta=0.7`. The second paper's exponent is 1 / gamma with
gamma in [1, 3], 4/3 being its best, and so it is here; much code takes the power gamma itself,
which does the opposite: it flattens the loss of categories that are nearly right instead of
steepening it.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from segscape.ops.soft_overlap import softmax_overlap
from segscape.ops.unknown_labels import label_fault
from segscape.structures.errors import StructureError


def tversky(
    logits: Float[Tensor, "batch category height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 1.0,
    smooth: float = 1.0,
    per_image: bool = False,
    present_only: bool = True,
) -> Float[Tensor, ""]:
    """Average (1 - T)^(1 / gamma) over the categories, T = (TP + s) / (TP + a FP + b FN + s).

    TP = sum p g, FP = sum p (1 - g), FN = sum (1 - p) g, where p are the softmax scores of a
    category and g is 1 where it is true; the sums run over the pixels of the batch, of all
    processes together, that are not ignored, each counted as often as its weight says. With
    alpha = beta = 1 this is `jaccard`, with 0.5 it is `soft_dice` of twice the `smooth`. A batch
    with nothing to learn from gives 0 with gradient 0.

    Args:
        logits: raw scores.
        labels: 0..category-1 or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.
        alpha: cost of false positives, 0 or more.
        beta: cost of false negatives, 0 or more; above alpha for fewer misses.
        gamma: above 0; 1 for plain Tversky, 4/3 for the focal form's best.
        smooth: s, in pixels, 0 or more.
        per_image: a loss for each image, averaged over the images that have counted pixels;
            otherwise one loss for the whole batch.
        present_only: average over the categories that are true somewhere (in the image, or in the
            batch), not over all.

    Raises:
        StructureError: when an option is out of its range, for labels of another size and, on the
            CPU, for a label that is neither a category nor ignored.

    >>> logits = torch.zeros(1, 2, 1, 2)
    >>> round(float(tversky(logits, torch.tensor([[[0, 1]]]), alpha=1.0, beta=1.0)), 4)
    0.4
    """
    if min(alpha, beta, smooth) < 0 or gamma <= 0:
        raise StructureError(
            f"tversky: alpha {alpha}, beta {beta}, smooth {smooth}, gamma {gamma}: the first three "
            "must be 0 or more, gamma above 0"
        )
    if fault := label_fault(logits, labels, ignore_id, pixel_weights):
        raise StructureError(f"tversky got {fault}")
    overlap = softmax_overlap(
        logits, labels, ignore_id=ignore_id, pixel_weights=pixel_weights, per_image=per_image
    )
    hits = overlap.hits
    size = hits + alpha * (overlap.predicted - hits) + beta * (overlap.true - hits) + smooth
    empty = size <= 0
    index = torch.where(empty, 1, hits + smooth) / torch.where(empty, 1, size)
    losses = 1 - index
    if gamma != 1:
        # A root is infinitely steep at 0, and rounding may go below.
        losses = losses.clamp(min=torch.finfo(losses.dtype).eps) ** (1 / gamma)
    return overlap.mean(losses, present_only=present_only)
