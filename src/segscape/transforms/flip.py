"""Mirror images."""

from dataclasses import dataclass

import numpy as np

from segscape.structures import LabelMap, Sample
from segscape.transforms import options
from segscape.transforms.maps import moved


@dataclass(frozen=True)
class HorizontalFlip:
    """Exchange left and right.

    Args:
        probability: in [0, 1].

    Raises:
        StructureError: for another probability.
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        options.probability("horizontal_flip", "probability", self.probability)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Flip image, labels and weights, or none."""
        if generator.random() >= self.probability:
            return sample
        return moved(sample, lambda values: values.flip(-1))


@dataclass(frozen=True)
class VerticalFlip:
    """Exchange top and bottom.

    Args:
        probability: in [0, 1].

    Raises:
        StructureError: for another probability.
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        options.probability("vertical_flip", "probability", self.probability)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Flip image, labels and weights, or none."""
        if generator.random() >= self.probability:
            return sample
        return moved(sample, lambda values: values.flip(-2))
