"""Mirror images."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from segscape.structures import LabelMap, Sample
from segscape.transforms import options
from segscape.transforms.maps import moved


@dataclass(frozen=True)
class _Flip:
    """Turn one axis round.

    Args:
        probability: in [0, 1].

    Raises:
        StructureError: for another probability.
    """

    name: ClassVar[str]
    axis: ClassVar[int]
    probability: float = 0.5

    def __post_init__(self) -> None:
        options.probability(self.name, "probability", self.probability)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Flip image, labels and weights, or none."""
        if generator.random() >= self.probability:
            return sample
        return moved(sample, lambda values: values.flip(self.axis))


class HorizontalFlip(_Flip):
    """Exchange left and right with this probability."""

    name, axis = "horizontal_flip", -1


class VerticalFlip(_Flip):
    """Exchange top and bottom with this probability."""

    name, axis = "vertical_flip", -2
