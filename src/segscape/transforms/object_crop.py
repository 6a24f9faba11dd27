"""A window around one object: the training samples of networks that are applied to proposals.

H. Noh, S. Hong, B. Han: Learning Deconvolution Network for Semantic Segmentation, 2015,
arXiv:1505.04366, sec. 4.1: "two-stage training".

Differences from the paper: objects are connected regions of one category, since a label map does
not tell touching objects of a category apart. The paper adds redundant examples of rare categories;
here images come by turns, and the categories of an image are drawn alike. The second stage's
windows are those of `proposal_crop`.
"""

from dataclasses import dataclass

import numpy as np
import torch

from segscape.structures import LabelMap, Sample, Size
from segscape.transforms import options
from segscape.transforms.maps import remade, take_window


@dataclass(frozen=True)
class ObjectCrop:
    """Cut the window around a random object; sizes differ, so let `resize` follow.

    A random category of the image is drawn, then a random connected region of it. Where the window
    leaves the image the picture has its mean colour, the labels are ignored, the weights 0. An
    image without objects stays as it is.

    Args:
        background: id of the category that is no object.
        enlarged: the object's box times this is the window; 1.2 in the paper.
        others: "background" turns the other objects into background, as in the first stage of
            training; "keep" leaves their labels.
        smallest_px: objects of fewer pixels are left out.

    Raises:
        StructureError: for options out of range.
    """

    background: int = 0
    enlarged: float = 1.2
    others: str = "background"
    smallest_px: int = 1

    def __post_init__(self) -> None:
        options.whole_number("object_crop", "background", self.background, 0)
        options.number("object_crop", "enlarged", self.enlarged, 1.0)
        options.one_of("object_crop", "others", self.others, ("background", "keep"))
        options.whole_number("object_crop", "smallest_px", self.smallest_px)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Cut image, labels and weights."""
        chosen = self._choose(sample.target, generator)
        if chosen is None:
            return sample
        if self.others == "background":
            labels = sample.target.labels
            others = torch.from_numpy(~chosen) & ~sample.target.ignored()
            sample = remade(
                sample,
                sample.image,
                labels.masked_fill(others, self.background),
                sample.pixel_weights,
            )
        places = [np.flatnonzero(chosen.any(axis)) for axis in (1, 0)]
        (top, height), (left, width) = (
            enlarge(int(p[0]), int(p[-1]) + 1, self.enlarged) for p in places
        )
        return take_window(sample, top, left, Size(height, width))

    def _choose(self, label_map: LabelMap, generator: np.random.Generator) -> np.ndarray | None:
        """True on the pixels of a random object."""
        # Here, not above: it takes long to import and few recipes need it.
        from scipy import ndimage

        labels = label_map.labels.numpy()
        counts = np.bincount(
            labels[~label_map.ignored().numpy()].ravel(), minlength=len(label_map.taxonomy)
        )
        counts[self.background : self.background + 1] = 0
        # A category of fewer pixels has no region of as many.
        for category in generator.permutation(np.flatnonzero(counts >= self.smallest_px)):
            regions, _ = ndimage.label(labels == category, structure=np.ones((3, 3)))
            sizes = np.bincount(regions.ravel())
            sizes[0] = 0
            large = np.flatnonzero(sizes >= self.smallest_px)
            if len(large):
                return regions == large[generator.integers(len(large))]
        return None


def enlarge(start: int, stop: int, factor: float) -> tuple[int, int]:
    """First place and length of a line of pixels, enlarged about its middle.

    >>> enlarge(10, 20, 1.2)
    (9, 12)
    """
    length = round((stop - start) * factor)
    return start - (length - (stop - start)) // 2, length
