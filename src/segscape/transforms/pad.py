"""At least so large."""

from dataclasses import dataclass

import numpy as np

from segscape.structures import LabelMap, Sample, Size
from segscape.transforms import options
from segscape.transforms.maps import take_window


@dataclass(frozen=True)
class Pad:
    """Pad right and bottom to at least a size; larger images stay as they are.

    The padding has the image's mean colour, ignored labels and weights of 0.

    Args:
        height: in pixels.
        width: in pixels.

    Raises:
        StructureError: for less than one pixel.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        options.whole_number("pad", "height", self.height)
        options.whole_number("pad", "width", self.width)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Pad image, labels and weights."""
        height, width = sample.size
        return take_window(sample, 0, 0, Size(max(height, self.height), max(width, self.width)))
