"""The scores of the ISBI challenge on electron micrographs: are the same pixels one cell?

Arganda-Carreras et al. 2015, "Crowdsourcing the creation of image segmentation algorithms for
connectomics" (doi:10.3389/fnana.2015.00142): the Rand score V^Rand and the information theoretic
score V^Info, restricted to the foreground of the truth, after thinning of the predicted borders.

Differences from the paper: none in the formulas. As in the challenge's code, a pixel that is called
border is a cell of its own; cells are connected over edges. The challenge searches the best
threshold of a probability map: here the prediction is labels already, so threshold it first. The
paper does not fix how borders are thinned; here simple pixels are deleted, nearest to a cell first,
which leaves lines of one pixel and joins no cells.
"""

from dataclasses import dataclass
from math import log

import numpy as np
from jaxtyping import Int32, Int64
from numpy import ndarray
from scipy import ndimage

from segscape.metrics.image_metric import ImageMetric
from segscape.ops.simple_points import thinned_borders
from segscape.structures import StructureError, Taxonomy

_ALPHA = 0.5  # equal weight of splits and mergers


@dataclass(frozen=True)
class CellScores:
    """Agreement of two partitions, in [0, 1], 1 for the same; nan without foreground.

    Args:
        rand: V^Rand, the F-score of `rand_split` and `rand_merge`.
        rand_split: share of the pairs of pixels of one true cell that are in one called cell.
        rand_merge: share of the pairs in one called cell that are of one true cell.
        information: V^Info, the F-score of the next two.
        information_split: I(S; T) / H(S), S what was called and T the truth.
        information_merge: I(S; T) / H(T).
    """

    rand: float
    rand_split: float
    rand_merge: float
    information: float
    information_split: float
    information_merge: float


class CellPartition(ImageMetric):
    """Pixels by true and called cell, kept per image.

    Cells are the 4-connected pieces of one category; all others are border. Only pixels of true
    cells are judged.

    Args:
        taxonomy: what the ids mean.
        foreground: id of the category of cells.
        thin: whether called borders are thinned to lines first, as the challenge does, so that
            their width does not matter.

    Raises:
        StructureError: when there is no such category.

    >>> import torch
    >>> metric = CellPartition(Taxonomy.from_names(["membrane", "cell"]), foreground=1)
    >>> truth = torch.tensor([[1, 1, 1, 0, 1, 1, 1]])
    >>> metric.update(torch.tensor([[1, 1, 0, 0, 0, 1, 1]]), truth, "em_01")
    >>> metric.compute().rand
    1.0
    """

    def __init__(self, taxonomy: Taxonomy, *, foreground: int, thin: bool = True) -> None:
        if not 0 <= foreground < len(taxonomy):
            raise StructureError(
                f"CellPartition: foreground {foreground} is no category: give 0.."
                f"{len(taxonomy) - 1}"
            )
        super().__init__(taxonomy)
        self.foreground = foreground
        self.thin = thin

    def _count(
        self, called: Int32[ndarray, "height width"], true: Int32[ndarray, "height width"]
    ) -> Int64[ndarray, "pair 3"]:
        cells = called == self.foreground
        return overlaps(thinned_borders(cells) if self.thin else cells, true == self.foreground)

    def per_image(self) -> dict[str, CellScores]:
        """The scores of each image by its key."""
        return {key: cell_scores(self._images.row(key)) for key in self._images.keys}

    def compute(self) -> CellScores:
        """The mean over the images, those without foreground left out.

        Raises:
            StructureError: when no image was counted.
        """
        rows = [list(vars(cell_scores(pairs)).values()) for pairs in self._images.rows()]
        judged = np.array([row for row in rows if not np.isnan(row[0])]).reshape(-1, 6)
        means = judged.mean(0) if len(judged) else np.full(6, np.nan)
        return CellScores(*means.tolist())


def overlaps(called: ndarray, true: ndarray) -> Int64[ndarray, "pair 3"]:
    """Pixels of each pair of true and called cell: rows of true id, called id (0 border), count.

    Args:
        called: True for cells.
        true: likewise; only its cells are counted.

    >>> overlaps(np.array([[True, True, False]]), np.array([[True, True, True]])).tolist()
    [[1, 0, 1], [1, 1, 2]]
    """
    called_ids, true_ids = (ndimage.label(mask)[0].astype(np.int64) for mask in (called, true))
    inside = true_ids > 0
    side = int(called_ids.max(initial=0)) + 1
    pairs, counts = np.unique(true_ids[inside] * side + called_ids[inside], return_counts=True)
    return np.stack([pairs // side, pairs % side, counts], 1).astype(np.int64)


def cell_scores(pairs: Int64[ndarray, "pair 3"]) -> CellScores:
    """The scores of one image from its `overlaps`."""
    pixels = int(pairs[:, 2].sum())
    if pixels == 0:
        return CellScores(*[float("nan")] * 6)
    border = pairs[:, 1] == 0
    alone = int(pairs[border, 2].sum())
    both = _Parts(pairs[~border, 2], alone, pixels)
    called = _Parts(np.bincount(pairs[~border, 1], pairs[~border, 2]), alone, pixels)
    true = _Parts(np.bincount(pairs[:, 0], pairs[:, 2]), 0, pixels)
    shared = true.entropy + called.entropy - both.entropy
    return CellScores(
        rand=both.squares / (_ALPHA * called.squares + (1 - _ALPHA) * true.squares),
        rand_split=both.squares / true.squares,
        rand_merge=both.squares / called.squares,
        information=_share(shared, (1 - _ALPHA) * called.entropy + _ALPHA * true.entropy),
        information_split=_share(shared, called.entropy),
        information_merge=_share(shared, true.entropy),
    )


class _Parts:
    """Sum of p^2 and of -p log p over parts, `alone` of which are single pixels."""

    def __init__(self, sizes: ndarray, alone: int, pixels: int) -> None:
        p = sizes[sizes > 0] / pixels
        self.squares = float((p**2).sum()) + alone / pixels**2
        self.entropy = float(-(p * np.log(p)).sum()) + alone / pixels * log(pixels)


def _share(shared: float, entropy: float) -> float:
    """1 where there is nothing to know: one cell in both."""
    return min(1.0, max(0.0, shared / entropy)) if entropy > 1e-12 else 1.0
