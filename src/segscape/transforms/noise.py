"""The grain of a sensor."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from segscape.structures import LabelMap, Sample
from segscape.transforms import options


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise, independent for each pixel and channel.

    Args:
        sigma: the smallest and the largest standard deviation in grey levels of 0..255, >= 0;
            drawn evenly.
        probability: in [0, 1], how often.

    Raises:
        StructureError: for options out of range.
    """

    sigma: tuple[float, float] = (0.0, 10.0)
    probability: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", options.interval("noise", "sigma", self.sigma))
        options.probability("noise", "probability", self.probability)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Change the image; labels and weights stay."""
        if generator.random() >= self.probability:
            return sample
        sigma = generator.uniform(*self.sigma)
        # torch draws normal numbers five times as fast; its stream is named by ours.
        stream = torch.Generator().manual_seed(int(generator.integers(2**63)))
        noisy = torch.randn(sample.image.shape, generator=stream).mul_(sigma).add_(sample.image)
        return replace(sample, image=noisy.round_().clamp_(0, 255).to(torch.uint8))
