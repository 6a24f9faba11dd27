"""Dense CRF: every pixel is tied to every other, and a mean field is found by fast filtering.

P. Kraehenbuehl, V. Koltun: Efficient Inference in Fully Connected CRFs with Gaussian Edge
Potentials, NeurIPS 2011, arXiv:1210.5644. The energy of labels x (eq. 1 to 3):

    E(x) = sum_i U_i(x_i) + sum_{i<j} mu(x_i, x_j) sum_m w_m k_m(f_i, f_j)
    k_1 = exp(-|p_i - p_j|^2 / 2 theta_alpha^2 - |I_i - I_j|^2 / 2 theta_beta^2)    appearance
    k_2 = exp(-|p_i - p_j|^2 / 2 theta_gamma^2)                                     smoothness

The mean field Q, a product of one distribution per pixel, is moved towards exp(-E) / Z by

    Q_i(l) ~ exp(-U_i(l) - sum_l' mu(l, l') sum_m w_m sum_{j != i} k_m(f_i, f_j) Q_j(l'))    (eq. 4)

all pixels at once. The inner sum is a Gaussian filter: `ops/permutohedral.py` for features,
`ops/grid_gaussian.py` for positions alone.

Where the paper and the released code disagree: the code keeps j = i in the sum and normalises the
kernels, both left out of the paper. `self_message` and `normalization` choose; the defaults are the
code's, for which the published parameters were found. D_i = sum_j k(f_i, f_j) below:

    none        K Q                     the paper's
    before      K D^-1 Q
    after       D^-1 K Q
    symmetric   D^-1/2 K D^-1/2 Q       the code's default

Differences from the paper:

- Labels whose probability is nowhere above `negligible` at the start are left out (Potts model,
  normalised kernels with weights of at least 0 only). A message from such a label is no larger than
  its highest probability, so that it stays as good as negligible: no other score changes by more
  than about `negligible` times the number of labels left out.
- The KL divergence is given up to the constant log Z, for which nobody has a formula.
- Pixels are updated in parallel, as in the paper; this need not lower the divergence each time
  (Kraehenbuehl and Koltun 2013). `divergences` shows whether it did.

How it differs from pydensecrf: any number of channels and any type of image, weights beside
bandwidths, one matrix of compatibilities that is not made symmetric, smoothness by sums over the
grid instead of a lattice (`smoothness_filter="lattice"` gives pydensecrf's labels), energies and a
test of convergence.

Time O(n (d^2 + t d c)) for t iterations over c labels and n pixels with d features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Float32, Int64, Shaped
from torch import Tensor

from segscape.classical.gaussian_kernels import FeatureKernel, Normalization, SpatialKernel
from segscape.classical.mean_field import MeanField, mean_field
from segscape.classical.pixels import unit_pixels
from segscape.structures import MethodError

SmoothnessFilter = Literal["grid", "lattice"]
# Less is never asked of a logarithm: what the released programs cut probabilities off at.
_LEAST = 1e-5


def dense_crf(
    image: Shaped[Tensor, "channel height width"],
    scores: Float[Tensor, "category _ _"],
    *,
    smoothness_weight: float = 3.0,
    smoothness_px: float = 1.0,
    appearance_weight: float = 4.0,
    appearance_px: float = 67.0,
    appearance_color: float = 3.0,
    iterations: int = 10,
    normalization: Normalization = "symmetric",
    self_message: bool = True,
    compatibility: Float[Tensor, "_ _"] | None = None,
    smoothness_filter: SmoothnessFilter = "grid",
    exact: bool = False,
    tolerance: float = 0.0,
    negligible: float = 1e-4,
    measure: bool = False,
) -> MeanField:
    """Sharpen scores along the edges of an image (eq. 1 to 4).

    The defaults are those released with DeepLabv2 on ResNet-101.

    Args:
        image: of 1 to 200 channels; `uint8`, 16-bit integers, or floats of 0..1. A GPU's tensors
            are filtered there if the scores are on it too.
        scores: probabilities in [0, 1] of each category at each pixel, as of a softmax.
        smoothness_weight: w_2, 0 or more; 0 leaves this kernel out.
        smoothness_px: theta_gamma, its bandwidth in pixels, above 0.
        appearance_weight: w_1, 0 or more; 0 leaves this kernel out.
        appearance_px: theta_alpha, its bandwidth in pixels, above 0.
        appearance_color: theta_beta, its bandwidth in levels of 0..255, to which images of other
            types are scaled; above 0.
        iterations: at most so many updates, 0 or more.
        normalization: of both kernels: none, before, after or symmetric.
        self_message: whether a pixel sends a message to itself, as in the released code.
        compatibility: mu, a learned matrix of costs; None for Potts, 1 between different labels.
        smoothness_filter: grid for exact sums over pixels, lattice for what pydensecrf computes.
        exact: sum over all pairs of pixels instead of using the lattice; for small images.
        tolerance: stop when no probability changed by more; 0 takes all iterations.
        negligible: labels that are nowhere more probable than this are left out; 0 keeps all.
        measure: whether to compute divergence and energy before and after each iteration, which
            takes about three times as long.

    Raises:
        MethodError: when sizes differ, a value is not finite or out of range, or there is too
            little memory.
    """
    _refuse(image, scores)
    _refuse_weight("smoothness_weight", smoothness_weight)
    _refuse_weight("appearance_weight", appearance_weight)
    kernels: list[FeatureKernel | SpatialKernel] = []
    size = (image.shape[1], image.shape[2])
    device = scores.device
    if appearance_weight != 0:
        _refuse_bandwidth("appearance_px", appearance_px)
        _refuse_bandwidth("appearance_color", appearance_color)
        colors = 255 * unit_pixels(image, "dense_crf").to(device) / appearance_color
        features = torch.cat([positions(size, device) / appearance_px, colors])
        kernels.append(FeatureKernel(appearance_weight, features, normalization, exact=exact))
    if smoothness_weight != 0:
        _refuse_bandwidth("smoothness_px", smoothness_px)
        if smoothness_filter not in get_args(SmoothnessFilter):
            raise MethodError(
                f"dense_crf got smoothness_filter '{smoothness_filter}', expected grid or lattice"
            )
        if smoothness_filter == "grid":
            kernels.append(SpatialKernel(smoothness_weight, smoothness_px, normalization))
        else:
            places = positions(size, device) / smoothness_px
            kernels.append(FeatureKernel(smoothness_weight, places, normalization, exact=exact))
    return mean_field(
        unary_of(scores),
        kernels,
        iterations=iterations,
        compatibility=compatibility,
        self_message=self_message,
        tolerance=tolerance,
        negligible=negligible,
        measure=measure,
    )


def unary_of(
    scores: Float[Tensor, "category height width"],
) -> Float32[Tensor, "category height width"]:
    """The cost of each label, -log of its probability; probabilities below 1e-5 cost as 1e-5."""
    return scores.detach().float().clamp(min=_LEAST).log_().neg_()


def unary_of_labels(
    labels: Int64[Tensor, "height width"], categories: int, *, certainty: float = 0.7
) -> Float32[Tensor, "category height width"]:
    """The costs of labels that someone or something else gave.

    Args:
        labels: 0..categories-1; any other number where nothing is known.
        categories: how many there are, 2 or more.
        certainty: the probability that a label is right, between 1 / categories and 1.

    Raises:
        MethodError: for fewer than two categories, or a certainty out of range.
    """
    if categories < 2 or not 1 / categories < certainty < 1:
        raise MethodError(
            f"unary_of_labels got {categories} categories and certainty {certainty}: expected 2 or "
            "more, and a certainty between 1 / categories and 1"
        )
    index = torch.arange(categories, device=labels.device)[:, None, None]
    known = (labels >= 0) & (labels < categories)
    others = (1 - certainty) / (categories - 1)
    probability = torch.where(index == labels, certainty, others)
    return -torch.where(known, probability, 1 / categories).log().float()


def positions(size: Sequence[int], device: torch.device) -> Float32[Tensor, "2 height width"]:
    """Column and row of each pixel."""
    height, width = size
    rows = torch.arange(height, device=device, dtype=torch.float32)
    columns = torch.arange(width, device=device, dtype=torch.float32)
    return torch.stack(
        [columns.expand(height, width), rows[:, None].expand(height, width)]
    ).contiguous()


@dataclass(frozen=True)
class DenseCRF:
    """A dense CRF as a refiner of scores: `(image, scores) -> scores`.

    Args:
        smoothness_weight: as of `dense_crf`, and so are all others.
        smoothness_px: in pixels.
        appearance_weight: of the kernel that sees colours.
        appearance_px: in pixels.
        appearance_color: in levels of 0..255.
        iterations: 0 or more.

    Raises:
        MethodError: for a value out of range.

    >>> image = torch.zeros(3, 4, 6, dtype=torch.uint8)
    >>> image[:, :, 3:] = 200
    >>> scores = torch.full((2, 4, 6), 0.4)
    >>> scores[0, :, :4] = scores[1, :, 4:] = 0.6  # the edge is one pixel too far to the right
    >>> DenseCRF()(image, scores).argmax(0)[0].tolist()
    [0, 0, 0, 1, 1, 1]
    """

    smoothness_weight: float = 3.0
    smoothness_px: float = 1.0
    appearance_weight: float = 4.0
    appearance_px: float = 67.0
    appearance_color: float = 3.0
    iterations: int = 10

    def __post_init__(self) -> None:
        _refuse_weight("smoothness_weight", self.smoothness_weight)
        _refuse_weight("appearance_weight", self.appearance_weight)
        _refuse_bandwidth("smoothness_px", self.smoothness_px)
        _refuse_bandwidth("appearance_px", self.appearance_px)
        _refuse_bandwidth("appearance_color", self.appearance_color)
        if self.iterations < 0:
            raise MethodError(f"dense_crf got {self.iterations} iterations, expected 0 or more")

    def __call__(
        self,
        image: Shaped[Tensor, "channel height width"],
        scores: Float[Tensor, "category height width"],
    ) -> Float[Tensor, "category height width"]:
        """Sharpened scores of the same shape, type and device.

        Raises:
            MethodError: as of `dense_crf`.
        """
        field = dense_crf(
            image,
            scores,
            smoothness_weight=self.smoothness_weight,
            smoothness_px=self.smoothness_px,
            appearance_weight=self.appearance_weight,
            appearance_px=self.appearance_px,
            appearance_color=self.appearance_color,
            iterations=self.iterations,
        )
        return field.scores.to(scores.dtype)


def _refuse(
    image: Shaped[Tensor, "channel height width"],
    scores: Float[Tensor, "category _ _"],
) -> None:
    if scores.ndim != 3 or scores.numel() == 0 or image.shape[1:] != scores.shape[1:]:
        raise MethodError(
            f"dense_crf got an image of {tuple(image.shape)} and scores of {tuple(scores.shape)}, "
            "expected channel x height x width and category x height x width of one size"
        )
    low, high = (float(value) for value in torch.aminmax(scores))
    if not (low >= 0 and high <= 1 + 1e-3):
        raise MethodError(
            f"dense_crf got scores from {low:.4g} to {high:.4g}, expected probabilities in [0, 1]: "
            "put logits through a softmax, and fill nan first"
        )


def _refuse_weight(name: str, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise MethodError(f"dense_crf got {name} {value!r}, expected 0 or more")


def _refuse_bandwidth(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise MethodError(f"dense_crf got {name} {value!r}, expected a number above 0")


# Published parameters. DeepLab's papers give ranges, in which they searched on validation images;
# `evaluation/crf_tuning.py` searches those of the second.
PUBLISHED_CRFS = {
    # The defaults of the released program; the paper's search on MSRC-21 ended near 61 and 11.
    "krahenbuhl_2011": DenseCRF(3.0, 3.0, 10.0, 60.0, 20.0, 10),
    # The least of each range: weights of 5 to 10, 50 to 100 pixels, 3 to 10 levels.
    "deeplab_v1_vgg16": DenseCRF(3.0, 3.0, 5.0, 50.0, 3.0, 10),
    "deeplab_v2_vgg16": DenseCRF(2.0, 2.0, 4.0, 65.0, 3.0, 10),
    "deeplab_v2_resnet101": DenseCRF(),
    "deconvnet": DenseCRF(3.0, 3.0, 5.0, 20.0, 3.0, 10),
}
