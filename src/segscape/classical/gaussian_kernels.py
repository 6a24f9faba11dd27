"""The Gaussian kernels of a fully connected CRF; the paper is in dense_crf.py."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from segscape.structures import MethodError

Normalization = Literal["none", "before", "after", "symmetric"]
# The released code adds this to sums before it divides by them.
_TINY = 1e-20


@dataclass(frozen=True)
class SpatialKernel:
    """w exp(-|p_i - p_j|^2 / 2 s^2) over positions alone, summed exactly over the pixel grid.

    Args:
        weight: w; below 0 it drives neighbours apart.
        bandwidth_px: s in pixels, above 0.
        normalization: see dense_crf.py.
    """

    weight: float
    bandwidth_px: float
    normalization: Normalization = "symmetric"


@dataclass(frozen=True)
class FeatureKernel:
    """w exp(-|f_i - f_j|^2 / 2) over any features of the pixels.

    Args:
        weight: w; below 0 it drives neighbours apart.
        features: finite, divided by their bandwidths.
        normalization: see dense_crf.py.
        exact: whether to sum over all pairs of pixels, for small images, instead of using the
            permutohedral lattice, which is off by some percent.
    """

    weight: float
    features: Float[Tensor, "feature height width"]
    normalization: Normalization = "symmetric"
    exact: bool = False


def normalizers(
    sums: Float32[Tensor, "*place"], normalization: Normalization
) -> tuple[Float32[Tensor, "*place"], Float32[Tensor, "*place"]]:
    """What values are multiplied by before and after a filter, from the filter's sums D."""
    ones = torch.ones_like(sums)
    match normalization:
        case "none":
            return ones, ones
        case "before":
            return 1 / (sums + _TINY), ones
        case "after":
            return ones, 1 / (sums + _TINY)
        case "symmetric":
            return (sums + _TINY).rsqrt(), (sums + _TINY).rsqrt()


def all_pairs(kernel: FeatureKernel, device: torch.device) -> Float32[Tensor, "pixel pixel"]:
    """The kernel between all pairs of pixels, normalised and weighted."""
    features = kernel.features.to(device).float().flatten(1).T.contiguous()
    # By differences: by products, near pixels of large features would be apart.
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    matrix = distances.square_().mul_(-0.5).exp_()
    before, after = normalizers(matrix.sum(1), kernel.normalization)
    return matrix * (kernel.weight * after[:, None]) * before


def refuse_kernel(
    kernel: SpatialKernel | FeatureKernel, unary: Float[Tensor, "category height width"]
) -> None:
    """Refuse a kernel that cannot be used with such costs.

    Raises:
        MethodError: for a value that is not finite or out of range, or another size.
    """
    if kernel.normalization not in get_args(Normalization):
        raise MethodError(
            f"mean_field got normalization '{kernel.normalization}': choose one of "
            f"{', '.join(get_args(Normalization))}"
        )
    if not np.isfinite(kernel.weight):
        raise MethodError(f"mean_field got a kernel of weight {kernel.weight}: give a number")
    if isinstance(kernel, SpatialKernel):
        if not 0 < kernel.bandwidth_px < float("inf"):
            raise MethodError(
                f"mean_field got a bandwidth of {kernel.bandwidth_px} px, expected above 0"
            )
        return
    features = kernel.features
    if features.ndim != 3 or not len(features) or features.shape[1:] != unary.shape[1:]:
        raise MethodError(
            f"mean_field got features of {tuple(features.shape)} for costs of "
            f"{tuple(unary.shape)}, expected the same height and width, and one feature or more"
        )
    if not bool((features.abs() < 2**24).all()):
        raise MethodError(
            "mean_field got features that are nan, infinite or beyond 2^24: fill them, or divide "
            "them by larger bandwidths"
        )
