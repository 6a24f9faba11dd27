"""Warping error: how many pixels are wrong for more than the place of a border.

Jain et al. 2010, "Boundary learning by optimization with topological constraints"
(doi:10.1109/CVPR.2010.5539950), section 3: the truth is warped onto the prediction by flips of
simple pixels, which move borders and change no connection; what still differs then are the errors
that join, split, lose or invent cells and holes.

Differences from the paper: none of substance. The best of all warpings is out of reach, and the
paper's algorithm, too, flips only pixels that differ, until none of them is simple: a border can
widen to meet the predicted one and give way behind, but a line one pixel thin that is off by two or
more has no way there and counts as wrong. The order of flips, which the paper leaves open, is row
by row, forward and backward in turn, so the result is always the same. Cells are connected over
edges, borders over corners; what is beyond the image counts as border.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32, Int64
from numpy import ndarray
from scipy import ndimage

from segscape.metrics.image_metric import ImageMetric
from segscape.metrics.judged_labels import VOID
from segscape.ops.simple_points import warped
from segscape.structures import StructureError, Taxonomy


@dataclass(frozen=True)
class WarpingScores:
    """Errors of topology, as a share of the judged pixels; nan where there are none.

    Args:
        error: of all images together, in [0, 1].
        per_image: of each image by its key.
    """

    error: float
    per_image: dict[str, float]


class WarpingError(ImageMetric):
    """Pixels that differ after warping, and judged ones, kept per image.

    Void counts as border, and is not judged.

    Args:
        taxonomy: what the ids mean.
        foreground: id of the category of cells; all others are border.
        limit: how far from the true borders a pixel may flip, in pixels, above 0; None for any
            distance.

    Raises:
        StructureError: when there is no such category, or the limit is 0 or less.

    >>> import torch
    >>> metric = WarpingError(Taxonomy.from_names(["membrane", "cell"]), foreground=1)
    >>> truth = torch.tensor([[1, 1, 0, 1, 1, 1, 1]])
    >>> metric.update(torch.tensor([[1, 1, 1, 0, 1, 1, 1]]), truth, "the membrane is moved")
    >>> metric.update(torch.tensor([[1, 1, 1, 1, 1, 1, 1]]), truth, "cells are merged")
    >>> metric.compute().per_image
    {'cells are merged': 0.14285714285714285, 'the membrane is moved': 0.0}
    """

    def __init__(self, taxonomy: Taxonomy, *, foreground: int, limit: float | None = None) -> None:
        if not 0 <= foreground < len(taxonomy):
            raise StructureError(
                f"WarpingError: foreground {foreground} is no category: give 0..{len(taxonomy) - 1}"
            )
        if limit is not None and not limit > 0:
            raise StructureError(f"WarpingError: limit {limit} must be above 0 pixels, or None")
        super().__init__(taxonomy)
        self.foreground = foreground
        self.limit = limit

    def _count(
        self, called: Int32[ndarray, "height width"], true: Int32[ndarray, "height width"]
    ) -> Int64[ndarray, "2"]:
        wrong = topology_errors(called == self.foreground, true == self.foreground, self.limit)
        judged = true != VOID
        return np.array([(wrong & judged).sum(), judged.sum()], np.int64)

    def compute(self) -> WarpingScores:
        """The scores of all images counted so far.

        Raises:
            StructureError: when no image was counted.
        """
        counts = self._images.stacked()
        wrong, judged = counts.sum(0).tolist()
        each = zip(self._images.keys, counts.tolist(), strict=True)
        return WarpingScores(
            error=_share(wrong, judged), per_image={key: _share(*row) for key, row in each}
        )


def topology_errors(
    called: Bool[ndarray, "height width"],
    true: Bool[ndarray, "height width"],
    limit: float | None = None,
) -> Bool[ndarray, "height width"]:
    """Pixels in which the prediction differs from the truth warped onto it.

    Args:
        called: True for cells.
        true: likewise.
        limit: how far from the true borders a pixel may flip, in pixels; None for any distance. A
            pixel beside the border is at distance 1.

    >>> true = np.array([[1, 1, 0, 1, 1]], bool)
    >>> topology_errors(np.ones((1, 5), bool), true).astype(int).tolist()
    [[0, 0, 1, 0, 0]]
    """
    allowed = None
    if limit is not None:
        inside = ndimage.distance_transform_edt(np.pad(true, 1))[1:-1, 1:-1]
        outside = ndimage.distance_transform_edt(~true) if true.any() else np.inf
        allowed = np.where(true, inside, outside) <= limit
    return warped(true, called, allowed) != called


def _share(wrong: int, judged: int) -> float:
    return wrong / judged if judged else float("nan")
