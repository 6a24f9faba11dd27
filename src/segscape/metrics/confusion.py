"""The one integer confusion matrix from which all semantic scores are computed."""

from collections.abc import Iterable
from typing import no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from segscape.metrics.image_table import ImageTable
from segscape.metrics.judged_labels import refuse_other_taxonomy
from segscape.metrics.scores import Absent, ImageCounts, SegmentationScores
from segscape.ops.processes import gather_over_processes
from segscape.structures import LabelMap, StructureError, Taxonomy

_TABLES = 4


def confusion_counts(
    prediction: Integer[Tensor, "*predicted_shape"],
    target: Integer[Tensor, "*target_shape"],
    categories: int,
    ignore_id: int,
) -> Int64[Tensor, "true predicted"]:
    """Count pixels by their true category (row) and what they were called (column).

    There is one row per category and one column more: the last counts pixels of a category that
    were predicted to be `ignore_id`, that is, nothing. Such a pixel was missed and counts against
    the recall of its category. Pixels whose *target* is ignored are not judged and counted nowhere;
    dropping pixels by the prediction instead would let a method skip what it finds hard.

    Args:
        prediction: 0..categories-1 or `ignore_id`, of any integer type.
        target: likewise, of the same shape.
        categories: how many there are.
        ignore_id: the id that is no category.

    Raises:
        StructureError: when the shapes differ or another id occurs on a judged pixel.

    >>> truth = torch.tensor([[0, 0, 1, 255]])
    >>> confusion_counts(torch.tensor([[0, 1, 255, 0]]), truth, 2, 255).tolist()
    [[1, 1, 0], [0, 0, 1]]
    """
    if prediction.shape != target.shape:
        raise StructureError(
            f"the prediction has {_by(prediction)} pixels, the target {_by(target)}: "
            "resize the prediction to the target"
        )
    counts = _count(
        _flat(prediction), _flat(target), np.int64(categories), np.int64(ignore_id)
    ).reshape(categories + 2, categories + 2)
    # Row and column `categories` hold ignored pixels, the last ones ids that mean nothing.
    if counts[-1].any() or counts[:categories, -1].any():
        wrong = "target" if counts[-1].any() else "prediction"
        ids = target if wrong == "target" else prediction[target != ignore_id]
        strange = ids[((ids < 0) | (ids >= categories)) & (ids != ignore_id)]
        raise StructureError(
            f"the {wrong} holds the ids {torch.unique(strange)[:8].tolist()}, but categories have "
            f"ids 0..{categories - 1} and {ignore_id} is ignored: map or ignore them"
        )
    return torch.from_numpy(counts[:categories, : categories + 1].copy())


class ConfusionMatrix:
    """Pixels by true and predicted category, kept per image.

    The state is one integer matrix per image under the image's key, so that the scores do not
    depend on the order of images, on how they are batched or on how many processes shared them: an
    image that is met twice, as when samplers pad the last batch, counts once.

    Args:
        taxonomy: what the ids mean.

    >>> taxonomy = Taxonomy.from_names(["cell", "membrane"])
    >>> matrix = ConfusionMatrix(taxonomy)
    >>> truth = torch.tensor([[0, 0, 1, 255]])
    >>> matrix.update(torch.tensor([[0, 1, 1, 1]]), truth, "em_01")
    >>> matrix.compute().miou
    0.5
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        # One row of positions and one of counts per image.
        self._images = ImageTable("ConfusionMatrix")

    def update(
        self,
        prediction: LabelMap | Integer[Tensor, "height width"],
        target: LabelMap | Integer[Tensor, "_ _"],
        key: str,
    ) -> None:
        """Count one image.

        Args:
            prediction: what the pixels were called.
            target: what they are; ignored pixels are not judged.
            key: names the image within its data set.

        Raises:
            StructureError: when sizes or taxonomies differ, an id is unknown, or another result was
                already counted under this key.
        """
        try:
            counts = confusion_counts(
                self._labels(prediction),
                self._labels(target),
                len(self.taxonomy),
                self.taxonomy.ignore_id,
            )
        except StructureError as error:
            raise StructureError(f"image '{key}': {error}") from error
        self._images.add(key, _cells(counts))

    def merge(self, other: "ConfusionMatrix") -> None:
        """Count the images of another matrix, too; `other` is left as it is.

        Raises:
            StructureError: when the taxonomies differ, or both counted an image differently.
        """
        refuse_other_taxonomy(other.taxonomy, self.taxonomy)
        self._images.merge(other._images)  # noqa: SLF001 # its own class

    def merge_over_processes(self) -> None:
        """Count the images of all processes; every process must call this.

        Raises:
            StructureError: as for `merge`.
        """
        for other in gather_over_processes(self):
            self.merge(other)

    def compute(self, *, absent: Absent = "exclude") -> SegmentationScores:
        """The scores of all images counted so far.

        Args:
            absent: how categories that occur in neither truth nor predictions enter the means:
                "exclude" leaves them out, "zero" counts them as 0.

        Raises:
            StructureError: when no image was counted.
        """
        images = [_matrix(len(self.taxonomy), [cells]) for cells in self._images.rows()]
        counts = ImageCounts(
            keys=self.keys,
            hits=np.stack([m.diagonal().numpy() for m in images]),
            true=np.stack([m.sum(1).numpy() for m in images]),
            predicted=np.stack([m[:, :-1].sum(0).numpy() for m in images]),
        )
        return SegmentationScores.of(self.taxonomy, self.total(), counts, absent)

    @property
    def keys(self) -> tuple[str, ...]:
        """The images counted so far, sorted."""
        return self._images.keys

    def image(self, key: str) -> Int64[Tensor, "true predicted"]:
        """The matrix of one image, laid out as by `confusion_counts`.

        Raises:
            StructureError: when no image of this key was counted.
        """
        return _matrix(len(self.taxonomy), [self._images.row(key)])

    def total(self) -> Int64[Tensor, "true predicted"]:
        """The sum of the matrices of all images."""
        return _matrix(len(self.taxonomy), [self._images.row(key) for key in self.keys])

    def _labels(self, labels: LabelMap | Tensor) -> Tensor:
        if isinstance(labels, Tensor):
            return labels
        refuse_other_taxonomy(labels.taxonomy, self.taxonomy)
        return labels.labels


def _cells(matrix: Int64[Tensor, "true predicted"]) -> Int64[np.ndarray, "2 cell"]:
    """Positions and counts of the cells that are not 0: an image holds few of 150 x 151 pairs."""
    counts = matrix.numpy().ravel()
    positions = np.flatnonzero(counts)
    return np.stack([positions, counts[positions]])


def _matrix(
    categories: int, images: Iterable[Int64[np.ndarray, "2 _"]]
) -> Int64[Tensor, "true predicted"]:
    """The sum of the matrices of which these are the cells."""
    matrix = np.zeros((categories, categories + 1), np.int64)
    for positions, counts in images:
        matrix.ravel()[positions] += counts
    return torch.from_numpy(matrix)


def _flat(labels: Integer[Tensor, "*shape"]) -> Integer[np.ndarray, " pixel"]:
    # Two types, so that numba compiles four kernels at most.
    narrow = labels if labels.dtype == torch.uint8 else labels.long()
    return narrow.cpu().contiguous().view(-1).numpy()


def _by(labels: Tensor) -> str:
    return " x ".join(str(side) for side in labels.shape)


@no_type_check  # the tests' shape checker must not wrap what numba compiles
@numba.njit(cache=True, nogil=True)
def _count(prediction, target, categories, ignore_id):  # noqa: ANN001, ANN202
    """Histogram of pairs; ignored pixels become row or column C, meaningless ids C + 1.

    Neighbouring pixels mostly fall into one cell, and an addition to a cell must wait for the one
    before it; four tables in turn let the additions overlap. One thread is enough: the kernel is
    bound by reading the labels.
    """
    side = categories + 2
    tables = np.zeros((_TABLES, side * side), np.int64)
    for i in range(target.size):
        true = np.int64(target[i])
        if true < 0 or true >= categories:
            true = categories if true == ignore_id else categories + 1
        called = np.int64(prediction[i])
        if called < 0 or called >= categories:
            called = categories if called == ignore_id else categories + 1
        tables[i % _TABLES, true * side + called] += 1
    return tables.sum(axis=0)
