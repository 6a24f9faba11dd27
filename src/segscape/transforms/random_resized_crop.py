"""Random scale and crop in one: only the pixels that are kept are resampled."""

import math
from dataclasses import dataclass

import numpy as np

from segscape.structures import LabelMap, Sample, Size
from segscape.transforms import options
from segscape.transforms.crop_choice import CropChoice
from segscape.transforms.maps import take_window
from segscape.transforms.resize import resized


@dataclass(frozen=True)
class RandomResizedCrop:
    """Cut a random window and resize it to a fixed size.

    The same as `RandomScale` followed by `RandomCrop`, up to half a source pixel at the window's
    edge, at a fraction of the time: the window is a whole number of source pixels.

    Args:
        height: of the result in pixels.
        width: of the result in pixels.
        scale: the smallest and the largest factor by which the image is enlarged, above 0, drawn
            evenly. Where the window is larger than the image, the picture outside has the mean
            colour, the labels are ignored and the weights are 0.
        aspect: the interval of a further stretch of width over height, above 0, drawn evenly on
            a logarithmic scale; (1, 1) keeps the aspect ratio.
        cover: enlarge beyond the drawn factor where otherwise the window would reach outside of
            the image, so that no pixel is wasted.
        rare_class_probability: in [0, 1], how often the window is centred on a random pixel of a
            category of the image, rare ones more often (`CropChoice`).
        max_category_share: in (0, 1], the share of one category above which another window is
            tried, up to ten.

    Raises:
        StructureError: for options out of range.
    """

    height: int
    width: int
    scale: tuple[float, float] = (0.5, 2.0)
    aspect: tuple[float, float] = (1.0, 1.0)
    cover: bool = False
    rare_class_probability: float = 0.0
    max_category_share: float = 1.0

    def __post_init__(self) -> None:
        name = "random_resized_crop"
        options.whole_number(name, "height", self.height)
        options.whole_number(name, "width", self.width)
        for option in ("scale", "aspect"):
            checked = options.interval(name, option, getattr(self, option), above=True)
            object.__setattr__(self, option, checked)
        options.yes_or_no(name, "cover", self.cover)
        self._choice()

    def _choice(self) -> CropChoice:
        return CropChoice.checked(
            "random_resized_crop", self.rare_class_probability, self.max_category_share
        )

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Cut and resize image, labels and weights."""
        window = self._window(sample.size, generator)
        top, left = self._choice()(sample.target, window, generator)
        first_row, rows = _visible(top, window.height, sample.size.height, self.height)
        first_column, columns = _visible(left, window.width, sample.size.width, self.width)
        # The part of the window within the image, at its share of the result's size.
        seen = resized(
            sample,
            Size(rows, columns),
            slice(max(top, 0), top + window.height),
            slice(max(left, 0), left + window.width),
        )
        return take_window(seen, -first_row, -first_column, Size(self.height, self.width))

    def _window(self, size: Size, generator: np.random.Generator) -> Size:
        """The size, in source pixels, of what becomes the result."""
        factor = generator.uniform(*self.scale)
        narrow, wide = self.aspect
        stretch = math.exp(generator.uniform(math.log(narrow), math.log(wide)))
        down, across = factor / math.sqrt(stretch), factor * math.sqrt(stretch)
        if self.cover:
            enlarge = max(
                1.0, self.height / (size.height * down), self.width / (size.width * across)
            )
            down, across = down * enlarge, across * enlarge
        height, width = max(1, round(self.height / down)), max(1, round(self.width / across))
        return (
            Size(min(height, size.height), min(width, size.width))
            if self.cover
            else Size(height, width)
        )


def _visible(start: int, length: int, source: int, target: int) -> tuple[int, int]:
    """Where along one axis of the result the image begins, and how many pixels it fills."""
    first = round((max(start, 0) - start) * target / length)
    last = round((min(start + length, source) - start) * target / length)
    # An image that shrinks below half a pixel still leaves one.
    first = min(first, target - 1)
    return first, max(last - first, 1)
