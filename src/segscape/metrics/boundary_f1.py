"""Boundary F1: how well the contours of the categories follow the true ones.

Csurka, Larlus and Perronnin 2013, "What is a good evaluation measure for semantic segmentation?"
(BMVC, doi:10.5244/C.27.32), section 3.2; Badrinarayanan, Kendall and Cipolla 2017, SegNet
(arXiv:1511.00561), section 4.1, for the means: the F1 of each category of the truth, averaged over
the categories of an image and then over the images.

Differences from the papers: Csurka et al. count a boundary pixel as right when any boundary pixel
of the other side is near (`matching="nearest"`); the SegNet paper uses the Berkeley benchmark's
matching, in which a pixel serves one other only, so that a doubled contour does not count twice.
That is the default (`"one_to_one"`), but solved exactly, for the largest number of pairs, where the
benchmark's code solves a sampled assignment problem. Boundaries run between judged pixels only: the
rim of a void region and of the image is none. A boundary pixel lies within its category and has one
of another above, below, left or right of it.
"""

import math
from dataclasses import dataclass
from typing import Literal, no_type_check

import numba
import numpy as np
from jaxtyping import Bool, Int32, Int64
from numpy import ndarray

from segscape.metrics import ratios
from segscape.metrics.image_metric import ImageMetric
from segscape.metrics.judged_labels import VOID
from segscape.structures import StructureError, Taxonomy

Matching = Literal["one_to_one", "nearest"]


@dataclass(frozen=True)
class BoundaryF1Scores:
    """F1 of contours, in [0, 1] or nan where there is none.

    Args:
        score: mean over the images of each image's score: SegNet's BF.
        per_class: of each category, the mean over the images it is true in.
        per_image: of each image by its key, the mean over its true categories; nan where the whole
            image is one category, in truth and prediction, or void.
        tolerance: as a share of the image's diagonal.
        matching: which boundary pixels count as found.
    """

    score: float
    per_class: tuple[float, ...]
    per_image: dict[str, float]
    tolerance: float
    matching: Matching


class BoundaryF1(ImageMetric):
    """Boundary pixels found and missed, kept per image and category.

    The rule for absent categories: an image judges the categories of its truth; what is called
    without being true there costs only as it displaces them. A category that has no boundary in the
    truth, as it fills what is judged, has the F1 0 if the prediction draws one, and is left out if
    it does not.

    Args:
        taxonomy: what the ids mean.
        tolerance: how far a boundary pixel may be off, as a share of the image's diagonal, 0 or
            more; up to this distance it is right.
        matching: "one_to_one" or "nearest", see above.

    Raises:
        StructureError: for a negative tolerance.

    >>> import torch
    >>> metric = BoundaryF1(Taxonomy.from_names(["cell", "membrane"]), tolerance=0.2)
    >>> metric.update(torch.tensor([[0, 0, 0, 1, 1, 1]]), torch.tensor([[0, 0, 1, 1, 1, 1]]), "a")
    >>> metric.compute().score
    1.0
    """

    def __init__(
        self, taxonomy: Taxonomy, *, tolerance: float = 0.0075, matching: Matching = "one_to_one"
    ) -> None:
        if not tolerance >= 0:
            raise StructureError(f"BoundaryF1: tolerance {tolerance} is negative: give 0 or more")
        super().__init__(taxonomy)
        self.tolerance = tolerance
        self.matching: Matching = matching

    def _count(
        self, called: Int32[ndarray, "height width"], true: Int32[ndarray, "height width"]
    ) -> Int64[ndarray, "5 category"]:
        radius = self.tolerance * math.hypot(*true.shape)
        return boundary_counts(called, true, len(self.taxonomy), radius, self.matching)

    def compute(self) -> BoundaryF1Scores:
        """The scores of all images counted so far.

        Raises:
            StructureError: when no image was counted.
        """
        counts = self._images.stacked()
        found, called, met, true, pixels = counts.swapaxes(0, 1)
        f1 = _f1(found, called, met, true)
        f1[(pixels == 0) | (called + true == 0)] = np.nan
        images = ratios.mean_over_categories(f1, "exclude")
        return BoundaryF1Scores(
            score=float(ratios.mean_over_categories(images, "exclude")),
            per_class=tuple(ratios.mean_over_categories(f1.T, "exclude").tolist()),
            per_image=dict(zip(self._images.keys, images.tolist(), strict=True)),
            tolerance=self.tolerance,
            matching=self.matching,
        )


def boundary_counts(
    called: Int32[ndarray, "height width"],
    true: Int32[ndarray, "height width"],
    categories: int,
    radius: float,
    matching: Matching,
) -> Int64[ndarray, "5 {categories}"]:
    """Count the boundary pixels of one image by category.

    Args:
        called: categories, -1 where the truth is void.
        true: likewise.
        categories: how many there are.
        radius: how far apart a pair may be, in pixels, 0 or more.
        matching: "one_to_one" or "nearest".

    Returns:
        Rows: called boundary pixels that have a true one, called ones, true ones that have a called
        one, true ones, and true pixels of any kind.
    """
    called_edges = np.where(boundary_pixels(called), called, VOID)
    true_edges = np.where(boundary_pixels(true), true, VOID)
    called_edges[called_edges >= categories] = VOID
    reach = math.floor(radius)
    # Framed, so that no neighbour is beyond the array.
    ours, theirs = (
        np.pad(edges, reach, constant_values=VOID) for edges in (called_edges, true_edges)
    )
    steps = _disc(radius, ours.shape[1])
    if matching == "one_to_one":
        partner = _pairs(ours.ravel(), theirs.ravel(), steps)
        found, met = partner >= 0, np.zeros(theirs.size, np.bool_)
        met[partner[found]] = True
    else:
        found = _has_near(ours.ravel(), theirs.ravel(), steps)
        met = _has_near(theirs.ravel(), ours.ravel(), steps)

    def by_category(labels: Int32[ndarray, "..."]) -> Int64[ndarray, "category"]:
        return np.bincount(labels[labels >= 0], minlength=categories).astype(np.int64)

    return np.stack(
        [
            by_category(np.where(found, ours.ravel(), VOID)),
            by_category(called_edges),
            by_category(np.where(met, theirs.ravel(), VOID)),
            by_category(true_edges),
            by_category(true),
        ]
    )


def boundary_pixels(labels: Int32[ndarray, "height width"]) -> Bool[ndarray, "height width"]:
    """Pixels with another label above, below, left or right; neither of the two negative.

    >>> boundary_pixels(np.array([[0, 0, 1, -1, 0]], np.int32)).astype(int).tolist()
    [[0, 1, 1, 0, 0]]
    """
    edges = np.zeros(labels.shape, np.bool_)
    for axis in (0, 1):
        ahead = np.moveaxis(labels, axis, 0)
        change = (ahead[1:] != ahead[:-1]) & (ahead[1:] >= 0) & (ahead[:-1] >= 0)
        marked = np.moveaxis(edges, axis, 0)
        marked[1:] |= change
        marked[:-1] |= change
    return edges


def _f1(
    found: Int64[ndarray, "image category"],
    called: Int64[ndarray, "image category"],
    met: Int64[ndarray, "image category"],
    true: Int64[ndarray, "image category"],
) -> ndarray:
    precision = found / np.maximum(called, 1)
    recall = met / np.maximum(true, 1)
    both = precision + recall
    return np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)


def _disc(radius: float, width: int) -> Int64[ndarray, "step"]:
    """Steps in a flattened array to all pixels up to a distance, near ones first."""
    reach = math.floor(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    square = rows**2 + columns**2
    order = np.argsort(square, kind="stable")
    order = order[square[order] <= radius**2]
    return (rows * width + columns)[order].astype(np.int64)


# The shape checker of the tests must not wrap what numba compiles.
@numba.njit(cache=True, nogil=True)
@no_type_check
def _has_near(labels, others, steps):  # noqa: ANN001, ANN202  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """For each labelled pixel whether one of the same label is near among the others."""
    near = np.zeros(labels.size, np.bool_)
    for p in np.flatnonzero(labels >= 0):
        for step in steps:
            if others[p + step] == labels[p]:
                near[p] = True
                break
    return near


@numba.njit(cache=True, nogil=True)
@no_type_check
def _pairs(called, true, steps):  # noqa: ANN001, ANN202  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """The largest set of pairs of equal label: for each called pixel its true one, or -1.

    Near pairs are made first, which leaves little to do; then each pixel still alone looks for an
    augmenting path, breadth first (Berge 1957). What a failed search has seen can be on no later
    path, so that all failures together see each pixel once.
    """
    partner = np.full(called.size, -1, np.int64)
    taken = np.full(called.size, -1, np.int64)
    alone = np.flatnonzero(called >= 0)
    queue = np.empty(alone.size + 1, np.int64)
    for step in steps:
        left = 0
        for p in alone:
            t = p + step
            if true[t] == called[p] and taken[t] < 0:
                partner[p], taken[t] = t, p
            else:
                alone[left] = p
                left += 1
        alone = alone[:left]

    seen = np.zeros(called.size, np.bool_)
    parent = np.empty(called.size, np.int64)
    met = np.empty(called.size, np.int64)
    for start in alone:
        first, last, number, end = 0, 1, 0, np.int64(-1)
        queue[0] = start
        while first < last and end < 0:
            p = queue[first]
            first += 1
            for step in steps:
                t = p + step
                if true[t] != called[p] or seen[t]:
                    continue
                seen[t], parent[t], met[number] = True, p, t
                number += 1
                if taken[t] < 0:
                    end = t
                    break
                queue[last] = taken[t]
                last += 1
        if end < 0:
            continue
        seen[met[:number]] = False
        while end >= 0:
            p = parent[end]
            before = partner[p]
            partner[p], taken[end] = end, p
            end = before
    return partner
