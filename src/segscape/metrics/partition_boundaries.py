"""How well the boundaries of a partition follow those that people drew.

Martin, Fowlkes and Malik 2004, "Learning to detect natural image boundaries using local brightness,
color, and texture cues" (doi:10.1109/TPAMI.2004.1273918), section 3 and appendix B; Arbelaez,
Maire, Fowlkes and Malik 2011 (doi:10.1109/TPAMI.2010.161), section 2.3: precision, recall and F of
boundary pixels, matched one to one at the least total distance.

The protocol of the Berkeley benchmark: a partition's boundary is where the 2 x 2 pixels that meet
in a corner are not all of one region, thinned to lines of one pixel (this gives exactly the
boundary maps stored with BSDS500); a pixel may be matched within `tolerance` of the image's
diagonal; one that is not matched costs 100 times that distance. Over annotators: a pixel of the
partition is right when it is matched in *any* annotator's boundaries; the annotators' pixels that
are found, and all of theirs, are summed over annotators. Counts are pooled over images.

Differences from the papers: the assignment is solved exactly (see `ops/pixel_assignment.py`), where
the benchmark's code adds chance links. Complexity: near linear in the number of boundary pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from segscape.metrics.image_table import ImageTable
from segscape.metrics.truths import refuse_other_sizes
from segscape.ops.pixel_assignment import assigned_pixels
from segscape.ops.thinning import thinned
from segscape.structures import Partition, StructureError

_ALONE_COST = 100.0  # of a pixel without partner, in largest distances


@dataclass(frozen=True)
class BoundaryScores:
    """Agreement of boundaries, in [0, 1].

    Args:
        precision: share of the partition's boundary pixels that someone drew; 1 without any.
        recall: share of the annotators' boundary pixels that were found; 1 without any.
        f: the harmonic mean of both, 0 where both are 0.
    """

    precision: float
    recall: float
    f: float


class BoundaryAgreement:
    """Boundary pixels that match those of the annotators, kept per image.

    Args:
        tolerance: how far a boundary pixel may be off, as a share of the image's diagonal, 0 or
            more.

    Raises:
        StructureError: for a negative tolerance.

    >>> import torch
    >>> metric = BoundaryAgreement(tolerance=0.2)
    >>> ours, truth = torch.tensor([[0, 0, 1, 1, 1, 2]]), torch.tensor([[0, 0, 0, 1, 1, 1]])
    >>> metric.update(Partition(ours), [Partition(truth)], "100075")
    >>> metric.compute()
    BoundaryScores(precision=0.5, recall=1.0, f=0.6666666666666666)
    """

    def __init__(self, *, tolerance: float = 0.0075) -> None:
        if not tolerance >= 0:
            raise StructureError(
                f"BoundaryAgreement: tolerance {tolerance} is negative: give 0 or more"
            )
        self.tolerance = tolerance
        self._images = ImageTable("BoundaryAgreement")

    def update(self, partition: Partition, truths: Sequence[Partition], key: str) -> None:
        """Count one image.

        Args:
            partition: the regions found.
            truths: those of each annotator, at least one.
            key: names the image within its data set.

        Raises:
            StructureError: without truths, when sizes differ, or when another result was already
                counted under this key.
        """
        refuse_other_sizes(partition, truths, key)
        ours = boundary_of(partition)
        drawn = [boundary_of(truth) for truth in truths]
        self._images.add(key, boundary_counts(ours, drawn, tolerance=self.tolerance))

    def merge(self, other: "BoundaryAgreement") -> None:
        """Count the images of another metric, too; `other` is left as it is.

        Raises:
            StructureError: when the tolerances differ, or both counted an image differently.
        """
        if other.tolerance != self.tolerance:
            raise StructureError(
                f"BoundaryAgreement: tolerances {self.tolerance} and {other.tolerance} cannot be "
                "merged: use one"
            )
        self._images.merge(other._images)  # noqa: SLF001 # its own class

    @property
    def keys(self) -> tuple[str, ...]:
        """The images counted so far, sorted."""
        return self._images.keys

    def compute(self) -> BoundaryScores:
        """The scores over all images counted so far.

        Raises:
            StructureError: when no image was counted.
        """
        return boundary_scores(self._images.stacked().sum(0))

    def counts(self, key: str) -> Int64[ndarray, "4"]:
        """The counts of one image, as `boundary_counts` gives them.

        Raises:
            StructureError: when no image of this key was counted.
        """
        return self._images.row(key)


def boundary_of(partition: Partition) -> Bool[ndarray, "height width"]:
    """The boundary pixels of a partition, in lines of one pixel.

    A pixel is on the boundary when it, its neighbours to the right and below and the one between
    these are not all of one region; then lines are thinned.

    >>> import torch
    >>> boundary_of(Partition(torch.tensor([[0, 0, 1], [0, 0, 1]]))).astype(int).tolist()
    [[0, 1, 0], [0, 1, 0]]
    """
    ids = np.pad(partition.regions.cpu().numpy(), ((0, 1), (0, 1)), mode="edge")
    here = ids[:-1, :-1]
    return thinned((here != ids[1:, :-1]) | (here != ids[:-1, 1:]) | (here != ids[1:, 1:]))


def boundary_counts(
    ours: Bool[ndarray, "height width"],
    drawn: Sequence[Bool[ndarray, "height width"]],
    *,
    tolerance: float,
) -> Int64[ndarray, "4"]:
    """Match thin boundaries with those of each annotator.

    Args:
        ours: boundary pixels found.
        drawn: those of each annotator.
        tolerance: the largest distance of a pair, as a share of the diagonal.

    Returns:
        How many of ours are matched by any annotator, how many are ours, and summed over annotators
        how many of theirs are matched and how many are theirs.
    """
    radius = tolerance * math.hypot(*ours.shape)
    right = np.zeros(ours.size, np.bool_)
    found = 0
    for theirs in drawn:
        pairs = assigned_pixels(ours, theirs, radius=radius, alone_cost=_ALONE_COST * radius)
        right[pairs[:, 0]] = True
        found += len(pairs)
    total = sum(int(theirs.sum()) for theirs in drawn)
    return np.array([right.sum(), ours.sum(), found, total], np.int64)


def boundary_scores(counts: Int64[ndarray, "4"]) -> BoundaryScores:
    """Precision, recall and F of counts as from `boundary_counts`, also of their sum.

    >>> boundary_scores(np.array([3, 4, 6, 12]))
    BoundaryScores(precision=0.75, recall=0.5, f=0.6)
    """
    right, ours, found, theirs = counts.tolist()
    precision = right / ours if ours else 1.0
    recall = found / theirs if theirs else 1.0
    both = precision + recall
    return BoundaryScores(precision, recall, 2 * precision * recall / both if both else 0.0)
