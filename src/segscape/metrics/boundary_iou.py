"""Boundary IoU: the IoU of the bands along the contours, which large areas cannot hide.

Cheng, Girshick, Dollar, Berg and Kirillov 2021, "Boundary IoU: improving object-centric image
segmentation evaluation" (arXiv:2103.16562), section 4, equation 2.

Differences from the paper: the paper measures single masks; here the bands of each category are
counted over the images, as mean IoU counts whole areas. As in the released code, and unlike the
text, distances are the larger of the row and column distance, and the image's rim is part of the
contour. Void pixels are in no band, and being beside one does not make a contour.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32, Int64
from numpy import ndarray
from scipy import ndimage

from segscape.metrics import ratios
from segscape.metrics.image_metric import ImageMetric
from segscape.metrics.judged_labels import VOID
from segscape.structures import StructureError, Taxonomy


@dataclass(frozen=True)
class BoundaryIoUScores:
    """IoU of bands, in [0, 1] or nan where there is none.

    Args:
        score: mean over the categories that have a band in truth or prediction of any image.
        per_class: of each category, over all images together.
        per_image: of each image by its key, the mean over the categories that have a band in it.
        dilation_ratio: width of the bands as a share of the image's diagonal.
    """

    score: float
    per_class: tuple[float, ...]
    per_image: dict[str, float]
    dilation_ratio: float


class BoundaryIoU(ImageMetric):
    """Pixels of bands, kept per image and category.

    Categories that have no band in truth and prediction are left out of the means.

    Args:
        taxonomy: what the ids mean.
        dilation_ratio: width of the bands as a share of the image's diagonal, above 0; the width is
            rounded, and 1 pixel at least.

    Raises:
        StructureError: for a ratio of 0 or less.

    >>> import torch
    >>> metric = BoundaryIoU(Taxonomy.from_names(["cell", "membrane"]))
    >>> truth = torch.tensor([[0, 0, 1, 1]])
    >>> metric.update(torch.tensor([[0, 1, 1, 1]]), truth, "a")
    >>> round(metric.compute().score, 4)
    0.5833
    """

    def __init__(self, taxonomy: Taxonomy, *, dilation_ratio: float = 0.02) -> None:
        if not dilation_ratio > 0:
            raise StructureError(f"BoundaryIoU: dilation_ratio {dilation_ratio} must be above 0")
        super().__init__(taxonomy)
        self.dilation_ratio = dilation_ratio

    def _count(
        self, called: Int32[ndarray, "height width"], true: Int32[ndarray, "height width"]
    ) -> Int64[ndarray, "3 category"]:
        width = max(1, round(self.dilation_ratio * math.hypot(*true.shape)))
        of_called, of_true = band(called, width), band(true, width)
        categories = len(self.taxonomy)
        counts = [
            np.bincount(labels[where], minlength=categories)[:categories].astype(np.int64)
            for labels, where in (
                (true, of_called & of_true & (called == true)),
                (true, of_true),
                (called, of_called),
            )
        ]
        return np.stack(counts)

    def compute(self) -> BoundaryIoUScores:
        """The scores of all images counted so far.

        Raises:
            StructureError: when no image was counted.
        """
        counts = self._images.stacked()
        per_class = ratios.iou(*counts.sum(0))
        images = ratios.mean_over_categories(ratios.iou(*counts.swapaxes(0, 1)), "exclude")
        return BoundaryIoUScores(
            score=float(ratios.mean_over_categories(per_class, "exclude")),
            per_class=tuple(per_class.tolist()),
            per_image=dict(zip(self._images.keys, images.tolist(), strict=True)),
            dilation_ratio=self.dilation_ratio,
        )


def band(labels: Int32[ndarray, "height width"], width: int) -> Bool[ndarray, "height width"]:
    """Judged pixels up to a distance from another label or from beyond the image.

    Args:
        labels: negative where not judged.
        width: in pixels, 1 or more; the larger of the distances in rows and columns.

    >>> band(np.array([[0, 0, 0, 0, 0]] * 5, np.int32), 1).astype(int).tolist()[2]
    [1, 0, 0, 0, 1]
    """
    # A pixel is inside when the window around it holds its label and void only.
    void = labels == VOID
    lowest = np.where(void, np.iinfo(np.int32).max, labels)
    lowest = ndimage.minimum_filter(lowest, 2 * width + 1, mode="constant", cval=VOID - 1)
    highest = ndimage.maximum_filter(
        labels, 2 * width + 1, mode="constant", cval=np.iinfo(np.int32).max
    )
    return ((lowest != labels) | (highest != labels)) & ~void
