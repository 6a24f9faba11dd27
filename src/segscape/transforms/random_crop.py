"""A window of fixed size, cut anywhere or where rare categories are."""

from dataclasses import dataclass

import numpy as np

from segscape.structures import LabelMap, Sample, Size
from segscape.transforms import options
from segscape.transforms.crop_choice import CropChoice
from segscape.transforms.maps import take_window


@dataclass(frozen=True)
class RandomCrop:
    """Cut a random window; an image smaller than the window is placed at random within it.

    Outside of the image the picture has its mean colour, the labels are ignored, the weights 0.

    Args:
        height: of the window in pixels.
        width: of the window in pixels.
        rare_class_probability: in [0, 1], how often the window is centred on a random pixel of a
            category of the image, rare ones more often (`CropChoice`).
        max_category_share: in (0, 1], the share of one category above which another window is
            tried, up to ten.

    Raises:
        StructureError: for options out of range.
    """

    height: int
    width: int
    rare_class_probability: float = 0.0
    max_category_share: float = 1.0

    def __post_init__(self) -> None:
        options.whole_number("random_crop", "height", self.height)
        options.whole_number("random_crop", "width", self.width)
        self._choice()

    def _choice(self) -> CropChoice:
        return CropChoice.checked(
            "random_crop", self.rare_class_probability, self.max_category_share
        )

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Cut image, labels and weights."""
        window = Size(self.height, self.width)
        top, left = self._choice()(sample.target, window, generator)
        return take_window(sample, top, left, window)
