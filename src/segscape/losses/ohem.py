"""Online hard example mining: cross entropy of the pixels that are still wrong or unsure.

Shrivastava, Gupta and Girshick 2016, "Training region-based object detectors with online hard
example mining" (arXiv:1604.03540), section 4, for the idea; the form with a threshold and a least
number of pixels is the one that networks for segmentation are trained with.

Differences from the paper: the paper keeps a fixed number of RoIs, those of the highest loss; here
pixels are kept, all those below a score, and at least a number of them. Widespread code keeps the
pixels *strictly* below the threshold that the least number sets, and takes the largest score for it
where there are fewer pixels: the easiest one is then always dropped, and all of them where their
scores are equal, as they are when training has pressed them to 1.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from segscape.ops.processes import concatenate_over_processes, sum_over_processes
from segscape.ops.unknown_labels import label_fault
from segscape.structures.errors import StructureError


def ohem_cross_entropy(
    logits: Float[Tensor, "batch category height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
    threshold: float = 0.7,
    min_kept: int = 100_000,
    class_weights: Float[Tensor, "category"] | None = None,
) -> Float[Tensor, ""]:
    """Average -log p(label) over the hard pixels.

    Kept are the pixels whose score p(label) is below `threshold`, and at least the `min_kept`
    times the number of images whose score is lowest, ties included: with fewer, all. The mean is
    that of `cross_entropy` over the kept pixels; the rank of a pixel is that in the batch of all
    processes together. A batch with nothing to learn from gives 0 with gradient 0.

    Args:
        logits: raw scores.
        labels: 0..category-1 or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere. They do not change the ranks, but a pixel
            of weight 0 has none.
        threshold: in [0, 1].
        min_kept: pixels per image, 0 or more.
        class_weights: 0 or more, one per category; None for 1 everywhere.

    Raises:
        StructureError: when an option is out of its range, for class weights of another number, for
            labels of another size and, on the CPU, for a label that is neither a category nor
            ignored.

    >>> logits = torch.tensor([[[[5.0, 0.0]], [[0.0, 0.0]]]])  # sure of the first pixel
    >>> labels = torch.tensor([[[0, 0]]])
    >>> round(float(ohem_cross_entropy(logits, labels, min_kept=1)), 4)  # log 2
    0.6931
    """
    categories = logits.shape[1]
    if not 0 <= threshold <= 1 or min_kept < 0:
        raise StructureError(
            f"ohem_cross_entropy: threshold {threshold} must be in [0, 1], min_kept {min_kept} "
            "0 or more pixels per image"
        )
    if class_weights is not None and len(class_weights) != categories:
        raise StructureError(
            f"ohem_cross_entropy got {len(class_weights)} class weights for {categories} "
            "categories: give one each"
        )
    if fault := label_fault(logits, labels, ignore_id, pixel_weights):
        raise StructureError(f"ohem_cross_entropy got {fault}")
    # Half precision cannot hold the sum over many pixels.
    logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    valid = labels != ignore_id
    known = labels.where(valid, 0)
    log_scores = F.log_softmax(logits, 1).gather(1, known[:, None]).squeeze(1)
    weights = valid.to(log_scores.dtype)
    if pixel_weights is not None:
        weights = weights * pixel_weights
    limit = _limit(log_scores.detach()[weights > 0], len(labels), threshold, min_kept)
    kept = (log_scores.detach() <= limit) | (log_scores.detach().exp() < threshold)
    weights = weights.where(kept, 0)
    if class_weights is not None:
        weights = weights * class_weights.to(log_scores)[known]
    total, weight = sum_over_processes(
        torch.stack([-(log_scores * weights).sum(), weights.sum()])
    ).unbind()
    return total / torch.where(weight > 0, weight, 1)


def _limit(
    log_scores: Float[Tensor, "pixel"], images: int, threshold: float, min_kept: int
) -> Float[Tensor, ""]:
    """The log score up to which the least number of pixels is kept, over all processes."""
    everyones, _ = concatenate_over_processes(log_scores)
    batch = sum_over_processes(torch.tensor(images, device=log_scores.device))
    least = min(min_kept * int(batch), len(everyones))
    nothing = log_scores.new_tensor(-torch.inf)
    if least == 0 or int((everyones.exp() < threshold).sum()) >= least:
        return nothing
    return everyones.kthvalue(least).values
