"""Scores by the size of the true regions: are small ones found, too?

A region is a connected piece of one category, over edges and corners. Sizes are split as COCO
splits objects (Lin et al. 2014, arXiv:1405.0312): below 32^2, up to 96^2 and above, in pixels.

Which size does a wrong pixel belong to? A missed pixel belongs to the region it is of. A false one
belongs to the region that its own called region shares most pixels with, the larger of equals; a
called region that hits none belongs by its own size, as COCO does with detections that match no
object.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from numpy import ndarray
from scipy import ndimage

from segscape.metrics import ratios
from segscape.metrics.image_metric import ImageMetric
from segscape.structures import StructureError, Taxonomy

COCO_BOUNDS = (32**2, 96**2)


@dataclass(frozen=True)
class SizeRow:
    """The regions from `low` up to, without, `high` pixels.

    Args:
        low: in pixels, inclusive.
        high: exclusive; None for no bound.
        regions: true regions of this size, all categories together.
        miou: mean IoU over the categories, nan where none occurs.
        mean_recall: mean over the categories that have regions of this size.
        class_iou: of each category, nan where there is nothing of this size.
        class_recall: of each category, nan where it has no region of this size.
        class_regions: true regions of each category.
    """

    low: int
    high: int | None
    regions: int
    miou: float
    mean_recall: float
    class_iou: tuple[float, ...]
    class_recall: tuple[float, ...]
    class_regions: tuple[int, ...]


class RegionSizes(ImageMetric):
    """Hits, true and called pixels by size of region, kept per image and category.

    Categories without anything of a size are left out of that size's means.

    Args:
        taxonomy: what the ids mean.
        bounds: sizes in pixels at which one class of sizes ends and the next begins, ascending.

    Raises:
        StructureError: when the bounds do not ascend from 1 or more.

    >>> import torch
    >>> metric = RegionSizes(Taxonomy.from_names(["cell", "membrane"]), bounds=[3])
    >>> truth = torch.tensor([[0, 0, 0, 1, 1, 0]])
    >>> metric.update(torch.tensor([[0, 0, 0, 1, 1, 1]]), truth, "a")
    >>> [(row.regions, row.mean_recall) for row in metric.compute()]
    [(2, 0.5), (1, 1.0)]
    """

    def __init__(self, taxonomy: Taxonomy, *, bounds: Sequence[int] = COCO_BOUNDS) -> None:
        edges = [0, *bounds]
        if any(high <= low for low, high in pairwise(edges)):
            raise StructureError(f"RegionSizes: bounds {list(bounds)} must ascend from 1 or more")
        super().__init__(taxonomy)
        self.bounds = tuple(bounds)

    def _count(
        self, called: Int32[ndarray, "height width"], true: Int32[ndarray, "height width"]
    ) -> Int64[ndarray, "4 size category"]:
        counts = [
            self._count_category(called == category, true == category)
            for category in range(len(self.taxonomy))
        ]
        return np.stack(counts, -1)

    def compute(self) -> tuple[SizeRow, ...]:
        """The scores of all images counted so far, small sizes first.

        Raises:
            StructureError: when no image was counted.
        """
        counts = self._images.stacked().sum(0)
        lows, highs = (0, *self.bounds), (*self.bounds, None)
        return tuple(
            _row(low, high, part)
            for low, high, part in zip(lows, highs, counts.swapaxes(0, 1), strict=True)
        )

    def _count_category(
        self, called: Bool[ndarray, "height width"], true: Bool[ndarray, "height width"]
    ) -> Int64[ndarray, "4 size"]:
        """Hits, true pixels, called pixels and true regions of one category."""
        sizes = len(self.bounds) + 1
        if not (called.any() or true.any()):
            return np.zeros((4, sizes), np.int64)
        true_ids, called_ids = _regions(true), _regions(called)
        true_areas, called_areas = (
            np.bincount(ids.ravel()).astype(np.int64) for ids in (true_ids, called_ids)
        )
        size_of_true = np.digitize(true_areas, self.bounds)
        size_of_called = np.digitize(called_areas, self.bounds)
        both = true & called
        # The pairs of a true and a called region that share pixels, the largest share last.
        side = len(called_areas)
        pairs, shared = np.unique(
            true_ids[both].astype(np.int64) * side + called_ids[both], return_counts=True
        )
        owners, owned = pairs // side, pairs % side
        order = np.lexsort((true_areas[owners], shared))
        size_of_called[owned[order]] = size_of_true[owners[order]]

        hits = np.bincount(size_of_true[owners], shared, sizes)
        false = called & ~true
        alarms = np.bincount(size_of_called[called_ids[false]], minlength=sizes)
        pixels = np.bincount(size_of_true[1:], true_areas[1:], sizes)
        regions = np.bincount(size_of_true[1:], minlength=sizes)
        return np.stack([hits, pixels, hits + alarms, regions]).astype(np.int64)


def _row(low: int, high: int | None, counts: Int64[ndarray, "4 category"]) -> SizeRow:
    hits, true, called, regions = counts
    iou, recall = ratios.iou(hits, true, called), ratios.recall(hits, true)
    return SizeRow(
        low=low,
        high=high,
        regions=int(regions.sum()),
        miou=_mean(iou),
        mean_recall=_mean(recall),
        class_iou=tuple(iou.tolist()),
        class_recall=tuple(recall.tolist()),
        class_regions=tuple(regions.tolist()),
    )


def _mean(scores: Float64[ndarray, " category"]) -> float:
    return float(ratios.mean_over_categories(scores, "exclude"))


def _regions(mask: Bool[ndarray, "height width"]) -> Int32[ndarray, "height width"]:
    ids, _ = ndimage.label(mask, np.ones((3, 3)))
    return ids.astype(np.int32)
