"""Class weights for unbalanced labels, by the rules people publish."""

import math

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

RULES = ("none", "inverse", "median_frequency", "enet", "effective_number")

# The weights in SegNet's released CamVid files (arXiv:1511.00561): sky, building, pole, road,
# pavement, tree, sign, fence, car, pedestrian, bicyclist. The paper calls them median frequency,
# but that rule on the 367 training masks gives 3.85 where 9.64 stands, for signs.
SEGNET_CAMVID_RELEASE = (
    0.2595,
    0.1826,
    4.5640,
    0.1417,
    0.9051,
    0.3826,
    9.6446,
    1.8418,
    0.6823,
    6.2478,
    7.3614,
)


def class_weights(
    counts: Int64[Tensor, "category"],
    rule: str,
    *,
    image_counts: Int64[Tensor, "category"] | None = None,
    beta: float | None = None,
) -> Float32[Tensor, "category"]:
    """Weigh each category by how rare it is. A category without pixels gets weight 0.

    With n_c pixels of category c, p_c = n_c / sum n, and the C categories that occur:

    - `none`: 1.
    - `inverse`: 1 / (C p_c), so that every category contributes alike and the mean weight over
      pixels is 1.
    - `median_frequency` (Eigen and Fergus, ICCV 2015, arXiv:1411.4734, sec. 6.3.2):
      median(f) / f_c with f_c = n_c / (pixels of the images that contain c), the median over the
      categories that occur. Needs `image_counts`.
    - `enet` (Paszke et al. 2016, arXiv:1606.02147, sec. 5.1): 1 / ln(1.02 + p_c), in 1.4..50.5.
    - `effective_number` (Cui et al., CVPR 2019, arXiv:1901.05555, eq. 4):
      (1 - beta) / (1 - beta^n), scaled so that the mean over the categories that occur is 1
      (their sec. 5.1).

    Differences from the papers: beta of `effective_number` is (N - 1) / N with N the number of
    pixels when not given, since the papers' 0.9..0.9999 count images, not pixels, and would give
    every category of pixels the same weight.

    Args:
        counts: labelled pixels of each category, 0 or more, over the training images.
        rule: one of `RULES`.
        image_counts: pixels, ignored ones too, of all images that contain the category; for
            `median_frequency`.
        beta: for `effective_number`, in [0, 1).

    Raises:
        ValueError: for an unknown rule, negative counts, `median_frequency` without `image_counts`
            or with fewer of them than pixels, or beta outside [0, 1).

    >>> counts = torch.tensor([90, 10, 0])
    >>> class_weights(counts, "inverse").tolist()
    [0.5555555820465088, 5.0, 0.0]
    """
    if rule not in RULES:
        raise ValueError(f"no class weight rule '{rule}': choose one of {', '.join(RULES)}")
    if bool((counts < 0).any()):
        raise ValueError(f"class counts {counts.tolist()} are negative: count pixels")
    present = counts > 0
    pixels = counts.double()
    if not bool(present.any()):
        return torch.zeros_like(pixels).float()
    share = pixels / pixels.sum()
    if rule == "none":
        weights = torch.ones_like(pixels)
    elif rule == "inverse":
        weights = 1 / (share * present.sum())
    elif rule == "median_frequency":
        weights = _median_frequency(counts, image_counts)
    elif rule == "enet":
        weights = 1 / torch.log(1.02 + share)
    else:
        weights = _effective_number(pixels, beta)
    return torch.where(present, weights, 0.0).float()


def _median_frequency(
    counts: Int64[Tensor, "category"], image_counts: Int64[Tensor, "category"] | None
) -> Tensor:
    if image_counts is None:
        raise ValueError(
            "median_frequency needs image_counts: for each category, the pixels of the images that "
            "contain it"
        )
    if image_counts.shape != counts.shape or bool((image_counts < counts).any()):
        raise ValueError(
            f"image_counts {image_counts.tolist()} must hold at least the counts "
            f"{counts.tolist()}: the images that contain a category hold its pixels"
        )
    frequency = counts.double() / image_counts.clamp(min=1)
    # The mean of the middle two for an even number, where torch.median takes the lower.
    middle = torch.quantile(frequency[counts > 0], 0.5)
    return middle / frequency


def _effective_number(pixels: Tensor, beta: float | None) -> Tensor:
    if beta is None:
        beta = 1 - 1 / float(pixels.sum())
    if not 0 <= beta < 1:
        raise ValueError(f"effective_number: beta is {beta}, expected 0 or more and below 1")
    if beta == 0:
        return torch.ones_like(pixels)
    # 1 - beta^n, without losing all digits where beta is near 1.
    effective = -torch.expm1(pixels * math.log(beta)) / (1 - beta)
    weights = 1 / effective
    return weights / weights[pixels > 0].mean()
