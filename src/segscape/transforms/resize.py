"""One size for all."""

from dataclasses import dataclass

import numpy as np

from segscape.ops.resize import resize_image, resize_labels, resize_nearest
from segscape.structures import LabelMap, Sample, Size
from segscape.transforms import options
from segscape.transforms.maps import remade


@dataclass(frozen=True)
class Resize:
    """Resize to a fixed size, whatever the aspect ratio was.

    Args:
        height: in pixels.
        width: in pixels.

    Raises:
        StructureError: for less than one pixel.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        options.whole_number("resize", "height", self.height)
        options.whole_number("resize", "width", self.width)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Resize image, labels and weights."""
        return resized(sample, Size(self.height, self.width))


def resized(
    sample: Sample[LabelMap],
    size: Size,
    rows: slice = slice(None),
    columns: slice = slice(None),
) -> Sample[LabelMap]:
    """Resize the sample, or only these rows and columns of it.

    The image is bilinear and antialiased; labels and weights are those under the pixel's centre.
    """
    weights = sample.pixel_weights
    return remade(
        sample,
        resize_image(sample.image[:, rows, columns], size),
        resize_labels(sample.target.labels[rows, columns], size),
        None if weights is None else resize_nearest(weights[rows, columns], size),
    )
