"""Random scale of the whole sample."""

from dataclasses import dataclass

import numpy as np

from segscape.structures import LabelMap, Sample, Size
from segscape.transforms import options
from segscape.transforms.resize import resized


@dataclass(frozen=True)
class RandomScale:
    """Resize by a factor drawn evenly from an interval, keeping the aspect ratio.

    Followed by a crop, `RandomResizedCrop` does both and resamples only what is kept.

    Args:
        scale: the smallest and the largest factor, above 0.

    Raises:
        StructureError: for an interval of other numbers.
    """

    scale: tuple[float, float] = (0.5, 2.0)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "scale", options.interval("random_scale", "scale", self.scale, above=True)
        )

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Resize image, labels and weights."""
        factor = generator.uniform(*self.scale)
        height, width = (max(1, round(factor * length)) for length in sample.size)
        return resized(sample, Size(height, width))
