"""Rotation by any angle."""

import math
from dataclasses import dataclass

import numpy as np

from segscape.structures import LabelMap, Sample
from segscape.transforms import options
from segscape.transforms.warp import pixel_centers, warped


@dataclass(frozen=True)
class Rotation:
    """Rotate about the centre; the size stays.

    Args:
        degrees: the largest angle either way, in [0, 180]; drawn evenly.
        probability: in [0, 1], how often.
        outside: what labels are in the corners that come from beyond the image: `void` (ignored,
            weights 0) or `mirror` (mirrored, as the image always is).

    Raises:
        StructureError: for options out of range.
    """

    degrees: float
    probability: float = 1.0
    outside: str = "void"

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "degrees", options.number("rotation", "degrees", self.degrees, 0.0, 180.0)
        )
        options.probability("rotation", "probability", self.probability)
        options.one_of("rotation", "outside", self.outside, ("void", "mirror"))

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Rotate image, labels and weights, or none."""
        if generator.random() >= self.probability:
            return sample
        angle = math.radians(generator.uniform(-self.degrees, self.degrees))
        height, width = sample.size
        down = (pixel_centers(height) - height / 2)[:, None]
        across = (pixel_centers(width) - width / 2)[None, :]
        cosine, sine = math.cos(angle), math.sin(angle)
        return warped(
            sample,
            down * cosine - across * sine + height / 2,
            down * sine + across * cosine + width / 2,
            void_outside=self.outside == "void",
        )
