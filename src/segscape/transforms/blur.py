"""Out of focus."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from segscape.structures import LabelMap, Sample
from segscape.transforms import options

# A Gaussian beyond three sigma holds 0.3 % of its mass: under one grey level.
_REACH_SIGMAS = 3.0
# Below this the nearest neighbour has a weight of e^-50.
_NOTHING_SIGMA = 0.1


@dataclass(frozen=True)
class Blur:
    """Blur with a Gaussian of random width; the image is mirrored at its border.

    Args:
        sigma: the smallest and the largest standard deviation in pixels, >= 0; drawn evenly.
        probability: in [0, 1], how often.

    Raises:
        StructureError: for options out of range.
    """

    sigma: tuple[float, float] = (0.1, 2.0)
    probability: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", options.interval("blur", "sigma", self.sigma))
        options.probability("blur", "probability", self.probability)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Blur the image; labels and weights stay."""
        if generator.random() >= self.probability:
            return sample
        return replace(sample, image=_blurred(sample.image, generator.uniform(*self.sigma)))


def _blurred(
    image: UInt8[Tensor, "channel height width"], sigma: float
) -> UInt8[Tensor, "channel height width"]:
    if sigma < _NOTHING_SIGMA:
        return image
    reach = math.ceil(_REACH_SIGMAS * sigma)
    kernel = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-reach, reach + 1)]
    kernel = [weight / sum(kernel) for weight in kernel]
    values = image.float()
    for axis, length in ((1, image.shape[1]), (2, image.shape[2])):
        padded = values.index_select(axis, _mirrored(length, reach))
        # Sums of shifted images: eight times as fast as a convolution with three channels.
        values = padded.narrow(axis, reach, length) * kernel[reach]
        for offset in range(1, reach + 1):
            for start in (reach - offset, reach + offset):
                values.add_(padded.narrow(axis, start, length), alpha=kernel[reach + offset])
    return values.round_().clamp_(0, 255).to(torch.uint8)


def _mirrored(length: int, reach: int) -> Tensor:
    """Positions -reach .. length + reach - 1, folded back into the image as often as needed."""
    folded = torch.arange(-reach, length + reach).remainder(2 * length)
    return torch.minimum(folded, 2 * length - 1 - folded)
