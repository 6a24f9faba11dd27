"""What an evaluation says about cells, the connected pieces of one category, image by image."""

from dataclasses import asdict, dataclass
from math import isnan

from segscape.evaluation.boundaries import MOST_PIXELS
from segscape.metrics.electron_microscopy import CellPartition, CellScores
from segscape.metrics.warping_error import WarpingError
from segscape.structures import LabelMap, Taxonomy


@dataclass(frozen=True)
class CellNumbers:
    """The numbers of an image or of all, nan without true cells or judged pixels.

    Args:
        scores: V^Rand and V^Info: whether the same pixels are one cell.
        warping_error: share of the judged pixels that are wrong for more than a border's place.
    """

    scores: CellScores
    warping_error: float

    def to_json(self) -> dict[str, float]:
        """The numbers under their names."""
        return asdict(self.scores) | {"warping_error": self.warping_error}


@dataclass(frozen=True)
class CellAgreement:
    """How well cells are told apart.

    Args:
        category: whose 4-connected pieces are the cells.
        overall: mean scores over the images that have true cells; the warping error is that of the
            judged pixels of all images together.
        per_image: of each image by its key.
        images_left_out: too large to be judged.
    """

    category: str
    overall: CellNumbers
    per_image: dict[str, CellNumbers]
    images_left_out: int

    @property
    def images_with_cells(self) -> int:
        """How many images the mean scores are of."""
        return sum(not isnan(one.scores.rand) for one in self.per_image.values())

    def to_json(self) -> dict[str, object]:
        """All numbers, nan among them."""
        return {
            "category": self.category,
            **self.overall.to_json(),
            "images_with_cells": self.images_with_cells,
            "images_left_out": self.images_left_out,
            "per_image": [{"key": key} | one.to_json() for key, one in self.per_image.items()],
        }


class Cells:
    """The metrics of cells, updated together.

    Args:
        taxonomy: what the ids mean.
        category: name of the category of cells; all others are border.

    Raises:
        StructureError: when no category has this name.
    """

    def __init__(self, taxonomy: Taxonomy, category: str) -> None:
        foreground = taxonomy.id_of(category)
        self._category = category
        self._partition = CellPartition(taxonomy, foreground=foreground)
        self._warping = WarpingError(taxonomy, foreground=foreground)
        self._judged, self._left_out = 0, 0

    def update(self, prediction: LabelMap, target: LabelMap, key: str) -> None:
        """Count one image, unless it is too large.

        Raises:
            StructureError: when sizes or taxonomies differ.
        """
        if target.labels.numel() > MOST_PIXELS:
            self._left_out += 1
            return
        self._judged += 1
        self._partition.update(prediction, target, key)
        self._warping.update(prediction, target, key)

    def compute(self) -> CellAgreement | None:
        """The numbers; None when no image was small enough."""
        if self._judged == 0:
            return None
        warping = self._warping.compute()
        return CellAgreement(
            category=self._category,
            overall=CellNumbers(self._partition.compute(), warping.error),
            per_image={
                key: CellNumbers(scores, warping.per_image[key])
                for key, scores in self._partition.per_image().items()
            },
            images_left_out=self._left_out,
        )
