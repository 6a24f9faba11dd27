"""Boundary loss: how far from the true border the scores are misplaced.

Kervadec, Bouchtiba, Desrosiers, Granger, Dolz and Ben Ayed 2019, "Boundary loss for highly
unbalanced segmentation" (arXiv:1812.07032), equations 3 to 5.

Differences from the paper: the term of equation 4 that does not depend on the network is kept, so
that the loss is 0 where the scores are the truth instead of some negative number; the gradient is
the paper's. The border runs between pixels: a pixel beside it is half a pixel away on either side.
In the released code the outermost pixels of a region are at distance 0 and their neighbours at 1,
and since all pixels have distance 0 to a category that is not in the image, scores spent on such a
category at the rim of a region cost nothing; here they do. Ignored pixels are no pixels: distances
are those to the nearest judged ones. The paper adds this loss to one over regions, such as `dice`,
as its gradient vanishes where an image holds one category.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Integer
from scipy import ndimage
from torch import Tensor

from segscape.ops.processes import sum_over_processes
from segscape.ops.unknown_labels import label_fault
from segscape.structures.errors import StructureError


def boundary(
    logits: Float[Tensor, "batch category height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
) -> Float[Tensor, ""]:
    """Average sum_c phi_c (p_c - g_c) over the pixels that count, in pixels of distance.

    phi_c is the signed distance to the border of category c in the truth, negative inside
    (`signed_distances`); p are the softmax scores, g is 1 at the true category and 0 elsewhere. A
    pixel that is given to another category costs its distance to its own region's border and that
    to the other's. The mean runs over the pixels of the batch, of all processes together, that are
    not ignored, by their weights. A batch with nothing to learn from gives 0 with gradient 0.

    The distances are worked out on the CPU, about 3 ms for each category of an image of 256 x 320.

    Args:
        logits: raw scores.
        labels: 0..category-1 or `ignore_id`.
        ignore_id: pixels of this label change neither the loss nor its gradient.
        pixel_weights: 0 or more; None for 1 everywhere.

    Raises:
        StructureError: for labels of another size and, on the CPU, for a label that is neither a
            category nor ignored.

    >>> logits = torch.zeros(1, 2, 1, 2)
    >>> float(boundary(logits, torch.tensor([[[0, 1]]])))  # half of each is half a pixel off, twice
    0.5
    """
    categories = logits.shape[1]
    if fault := label_fault(logits, labels, ignore_id, pixel_weights):
        raise StructureError(f"boundary got {fault}")
    logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    scores = logits.softmax(1)
    weights = (labels != ignore_id).to(scores.dtype)
    if pixel_weights is not None:
        weights = weights * pixel_weights
    ids = labels.cpu()
    distances = torch.stack([signed_distances(one, categories, ignore_id) for one in ids])
    distances = distances.to(scores)
    own = distances.gather(1, labels.where(labels != ignore_id, 0)[:, None]).squeeze(1)
    terms = ((scores * distances).sum(1) - own) * weights
    total, weight = sum_over_processes(torch.stack([terms.sum(), weights.sum()])).unbind()
    return total / torch.where(weight > 0, weight, 1)


def signed_distances(
    labels: Integer[Tensor, "height width"], categories: int, ignore_id: int = 255
) -> Float32[Tensor, "{categories} height width"]:
    """Distance in pixels to the border of each category, negative within it (equation 3's phi).

    Outside it is the distance to the category's nearest pixel, inside the one to the nearest judged
    pixel of another, both less the half pixel up to the border between them. A category that is
    absent, or alone, has no border: 0 everywhere, as at ignored pixels.

    Args:
        labels: on the CPU.
        categories: how many there are.
        ignore_id: pixels of this label have no distance and are none to measure to.

    >>> signed_distances(torch.tensor([[0, 0, 1, 255]]), 2)
    tensor([[[-1.5000, -0.5000,  0.5000,  0.0000]],
    <BLANKLINE>
            [[ 1.5000,  0.5000, -0.5000,  0.0000]]])
    """
    ids = labels.numpy()
    valid = ids != ignore_id
    present = [int(c) for c in np.unique(ids[valid])]
    distances = np.zeros((categories, *ids.shape), np.float32)
    if len(present) < 2:
        return torch.from_numpy(distances)
    for category in present:
        distances[category] = ndimage.distance_transform_edt(ids != category)
    # What is nearest to a pixel among the others is nearest of all outside of its own category.
    others = distances[present]
    others[others == 0] = np.inf
    nearest = others.min(0)
    for category in present:
        inside = ids == category
        distances[category] = np.where(inside, 0.5 - nearest, distances[category] - 0.5)
    distances *= valid
    return torch.from_numpy(distances)
