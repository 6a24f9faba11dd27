"""A window that a proposal gives: samples as networks meet them that are applied to proposals.

H. Noh, S. Hong, B. Han: Learning Deconvolution Network for Semantic Segmentation, 2015,
arXiv:1505.04366, sec. 4.1: the second stage of training takes proposals that overlap an object by
half, so that the network learns to bear windows that sit badly.

Differences from the paper: proposals are boxes of regions (`ops/region_proposals.py`), where the
paper takes edge boxes; objects are connected regions of one category. The paper adds redundant
examples of rare categories; here images come by turns, and the categories of an image are drawn
alike.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from segscape.ops.region_proposals import propose_regions
from segscape.structures import LabelMap, Sample, Size
from segscape.transforms import options
from segscape.transforms.maps import take_window
from segscape.transforms.object_crop import ObjectCrop, enlarge

_Boxes = Int64[np.ndarray, "box 4"]
# Images, of some tens of boxes each, in each process that transforms.
_MOST_REMEMBERED = 50_000
_remembered: dict[bytes, dict[int, _Boxes]] = {}


@dataclass(frozen=True)
class ProposalCrop:
    """Cut the window of a random proposal that overlaps an object; let `resize` follow.

    A random category of those whose objects are met is drawn, then a random proposal that meets
    one. All labels stay. Where no proposal meets an object, the window lies around a random object,
    as of `object_crop`; an image without objects stays as it is.

    Finding proposals takes far longer than all else. They are remembered by the pixels, so let
    this come before what changes pixels at random: then each process finds them once.

    Args:
        background: id of the category that is no object.
        overlap: intersection over union of a proposal with an object's box from which on it meets
            the object, in (0, 1].
        enlarged: the proposal times this is the window; 1.2 in the paper.
        smallest_px: objects of fewer pixels are left out.

    Raises:
        StructureError: for options out of range.
    """

    background: int = 0
    overlap: float = 0.5
    enlarged: float = 1.2
    smallest_px: int = 1

    def __post_init__(self) -> None:
        options.whole_number("proposal_crop", "background", self.background, 0)
        options.number("proposal_crop", "overlap", self.overlap, 0.0, 1.0, above=True)
        options.number("proposal_crop", "enlarged", self.enlarged, 1.0)
        options.whole_number("proposal_crop", "smallest_px", self.smallest_px)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Cut image, labels and weights."""
        found = self._recall(sample)
        if not found:
            around = ObjectCrop(
                background=self.background,
                enlarged=self.enlarged,
                others="keep",
                smallest_px=self.smallest_px,
            )
            return around(sample, generator)
        boxes = found[list(found)[generator.integers(len(found))]]
        box: list[int] = boxes[generator.integers(len(boxes))].tolist()
        left, width = enlarge(box[0], box[2], self.enlarged)
        top, height = enlarge(box[1], box[3], self.enlarged)
        return take_window(sample, top, left, Size(height, width))

    def _recall(self, sample: Sample[LabelMap]) -> dict[int, _Boxes]:
        digest = hashlib.blake2b(repr((self, sample.size)).encode(), digest_size=16)
        for tensor in (sample.image, sample.target.labels):
            digest.update(tensor.contiguous().numpy().data)
        key = digest.digest()
        if key not in _remembered:
            if len(_remembered) >= _MOST_REMEMBERED:
                del _remembered[next(iter(_remembered))]
            _remembered[key] = self._find(sample)
        return _remembered[key]

    def _find(self, sample: Sample[LabelMap]) -> dict[int, _Boxes]:
        """The proposals that meet objects of each category."""
        objects = self._objects(sample.target)
        if not objects:
            return {}
        proposals = propose_regions(sample.image).long().numpy()
        met = {
            category: proposals[(_overlaps(proposals, boxes) >= self.overlap).any(1)]
            for category, boxes in objects.items()
        }
        return {category: boxes for category, boxes in met.items() if len(boxes)}

    def _objects(self, label_map: LabelMap) -> dict[int, _Boxes]:
        """Boxes around the connected regions of each category that is an object."""
        # Here, not above: it takes long to import and few recipes need it.
        from scipy import ndimage

        labels = label_map.labels.numpy()
        found: dict[int, _Boxes] = {}
        for category in np.unique(labels[~label_map.ignored().numpy()]).tolist():
            if category == self.background:
                continue
            regions, count = ndimage.label(labels == category, structure=np.ones((3, 3)))
            sizes = np.bincount(regions.ravel(), minlength=count + 1)[1:]
            boxes = [
                (columns.start, rows.start, columns.stop, rows.stop)
                for (rows, columns), size in zip(ndimage.find_objects(regions), sizes, strict=True)
                if size >= self.smallest_px
            ]
            if boxes:
                found[category] = np.array(boxes, dtype=np.int64)
        return found


def _overlaps(
    ones: Int64[np.ndarray, "one 4"], others: Int64[np.ndarray, "other 4"]
) -> Float[np.ndarray, "one other"]:
    """Intersection over union of each box with each other."""
    low = np.maximum(ones[:, None, :2], others[None, :, :2])
    high = np.minimum(ones[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (ones, others)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)
