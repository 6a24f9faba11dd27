"""How well the regions of a partition agree with those that people drew.

Arbelaez, Maire, Fowlkes and Malik 2011, "Contour detection and hierarchical image segmentation"
(doi:10.1109/TPAMI.2010.161), section 2.3: segmentation covering, of the human regions by those of
the partition; the probabilistic Rand index (Unnikrishnan, Pantofaru and Hebert 2007,
doi:10.1109/TPAMI.2007.1046); the variation of information (Meila 2005,
doi:10.1145/1102351.1102424), here in bits.

Over annotators, as in the Berkeley benchmark: covering pools the regions of all annotators and of
all images, weighted by area; the Rand index and the variation of information are means over the
annotators of an image, then over the images.

Differences from the papers: none. The Rand index of an image of one pixel, which has no pairs,
is 1. Complexity: O(pixels) for each annotator.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32, Int64
from numpy import ndarray

from segscape.metrics.image_table import ImageTable
from segscape.metrics.truths import refuse_other_sizes
from segscape.structures import Partition

# Variations of information are kept as whole numbers of this part of a bit.
_PART_OF_BIT = 2.0**-40


@dataclass(frozen=True)
class RegionScores:
    """Agreement with several truths.

    Args:
        covering: of the true regions by the best region of the partition each, in [0, 1].
        rand_index: probabilistic Rand index, in [0, 1].
        variation_of_information: in bits, 0 or more; lower is better.
    """

    covering: float
    rand_index: float
    variation_of_information: float


class RegionAgreement:
    """Overlaps of partitions with all truths of their images, kept per image.

    >>> import torch
    >>> metric = RegionAgreement()
    >>> truth = Partition(torch.tensor([[0, 0, 1, 1]]))
    >>> metric.update(Partition(torch.tensor([[0, 1, 2, 2]])), [truth, truth], "100075")
    >>> metric.compute()
    RegionScores(covering=0.75, rand_index=0.8333333333333334, variation_of_information=0.5)
    """

    def __init__(self) -> None:
        self._regions = ImageTable("RegionAgreement")
        self._truths = ImageTable("RegionAgreement")

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
        tables = [overlaps(partition, truth) for truth in truths]
        self._regions.add(key, np.concatenate([_best_overlaps(table) for table in tables]))
        self._truths.add(key, np.stack([_pair_counts(table) for table in tables]))

    def merge(self, other: "RegionAgreement") -> None:
        """Count the images of another metric, too; `other` is left as it is.

        Raises:
            StructureError: when both counted an image differently.
        """
        self._regions.merge(other._regions)  # noqa: SLF001 # its own class
        self._truths.merge(other._truths)  # noqa: SLF001 # its own class

    @property
    def keys(self) -> tuple[str, ...]:
        """The images counted so far, sorted."""
        return self._regions.keys

    def compute(self) -> RegionScores:
        """The scores over all images counted so far.

        Raises:
            StructureError: when no image was counted.
        """
        pairs = [_pair_scores(truths) for truths in self._truths.rows()]
        return RegionScores(
            covering=covering(np.concatenate(self._regions.rows())),
            rand_index=float(np.mean([rand_index for rand_index, _ in pairs])),
            variation_of_information=float(np.mean([information for _, information in pairs])),
        )

    def image(self, key: str) -> RegionScores:
        """The scores of one image.

        Raises:
            StructureError: when no image of this key was counted.
        """
        return RegionScores(covering(self.regions(key)), *_pair_scores(self._truths.row(key)))

    def regions(self, key: str) -> Int64[ndarray, "region 3"]:
        """Of each true region of an image its size, and the best overlap's intersection and union.

        Raises:
            StructureError: when no image of this key was counted.
        """
        return self._regions.row(key)


def covering(regions: Int64[ndarray, "region 3"]) -> float:
    """Sum |R| max IoU(R, R') / sum |R| over true regions R, from sizes, intersections and unions.

    >>> covering(np.array([[30, 20, 40], [10, 10, 10]]))
    0.625
    """
    sizes, intersections, unions = regions.T
    return float((sizes * (intersections / unions)).sum() / sizes.sum())


def overlaps(partition: Partition, truth: Partition) -> Int64[ndarray, "pair 3"]:
    """Pixels of each pair of regions that meet: rows of true id, id in the partition, count.

    >>> import torch
    >>> ours, truth = torch.tensor([[0, 1, 1]]), torch.tensor([[0, 0, 1]])
    >>> overlaps(Partition(ours), Partition(truth)).tolist()
    [[0, 0, 1], [0, 1, 1], [1, 1, 1]]
    """
    ours, true = (_flat(each) for each in (partition, truth))
    side = partition.count
    cells = true.astype(np.int64) * side + ours
    if side * truth.count <= 4 * ours.size + 1024:
        counts = np.bincount(cells, minlength=1)
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:
        found, counts = np.unique(cells, return_counts=True)
    return np.stack([found // side, found % side, counts], axis=1).astype(np.int64)


def _best_overlaps(table: Int64[ndarray, "pair 3"]) -> Int64[ndarray, "region 3"]:
    """Of each true region its size, and intersection and union where their ratio is largest."""
    true, ours, shared = table.T
    size_of_true, size_of_ours = np.bincount(true, shared), np.bincount(ours, shared)
    union = size_of_true[true] + size_of_ours[ours] - shared
    order = np.lexsort((shared / union, true))
    last = order[np.flatnonzero(np.diff(true[order], append=-1))]
    return np.stack([size_of_true[true[last]], shared[last], union[last]], 1).astype(np.int64)


def _pair_counts(table: Int64[ndarray, "pair 3"]) -> Int64[ndarray, "3"]:
    """Pixels, pairs of pixels that the two partitions judge differently, and VI in 2^-40 bits."""
    true, ours, shared = table.T
    sizes = [np.bincount(ids, shared).astype(np.int64) for ids in (true, ours)]
    pixels = int(shared.sum())
    # 1 - RI = (sum n_u^2 / 2 + sum n_v^2 / 2 - sum n_uv^2) / C(N, 2)
    squares = [int((counts**2).sum()) for counts in (*sizes, shared)]
    apart = (squares[0] + squares[1] - 2 * squares[2]) // 2
    # VI = H(S) + H(S') - 2 I = 2 H(S, S') - H(S) - H(S')
    entropy = [_entropy(counts / pixels) for counts in (*sizes, shared)]
    information = max(0.0, 2 * entropy[2] - entropy[0] - entropy[1])
    return np.array([pixels, apart, round(information / _PART_OF_BIT)], np.int64)


def _entropy(share: Float64[ndarray, " region"]) -> float:
    return float(-(share * np.log2(share)).sum())


def _pair_scores(truths: Int64[ndarray, "truth 3"]) -> tuple[float, float]:
    """The means over the annotators of Rand index and variation of information."""
    pixels, apart, information = truths.T
    pairs = np.maximum(pixels * (pixels - 1) // 2, 1)
    return float((1 - apart / pairs).mean()), float(information.mean() * _PART_OF_BIT)


def _flat(partition: Partition) -> Int32[ndarray, " pixel"]:
    return partition.regions.cpu().numpy().ravel().astype(np.int32)
