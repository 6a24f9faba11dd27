"""Which images `segscape evaluate` judges, and what their masks mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segscape.datasets import Dataset, open_dataset
from segscape.datasets.layouts import is_synthetic, place_of
from segscape.structures import DatasetError, LabelMap
from segscape.training.recipe import Data, Recipe


@dataclass(frozen=True)
class JudgedData:
    """A split of a data set, as asked for on the command line or found in the run's recipe.

    Args:
        dataset: the images with their truth.
        spec: `LAYOUT:ROOT`.
        split: of it.
        ignore: ids in the masks that mean void, beside those that the classes say.
    """

    dataset: Dataset[LabelMap]
    spec: str
    split: str
    ignore: tuple[int, ...]

    @property
    def name(self) -> str:
        """What people call it."""
        if is_synthetic(self.spec):
            return "drawn scenes"
        return place_of(self.spec).root.resolve().name


def judged_data(
    recipe: Recipe | None,
    spec: str | None,
    split: str | None,
    classes: Path | None,
    ignore: Sequence[int],
) -> JudgedData:
    """Open what is to be judged.

    Without `spec` it is the recipe's validation data. What the recipe says of classes and ignored
    ids holds for the folders it names, under whatever path they are reached.

    Args:
        recipe: of the run; None when the folder holds only a model.
        spec: `LAYOUT:ROOT`.
        split: None for the recipe's validation split, or `val`.
        classes: a file of classes.
        ignore: ids that mean void.

    Raises:
        DatasetError: when nothing names the images, or they cannot be opened.
    """
    if spec is None and recipe is None:
        raise DatasetError(
            "the folder holds no recipe.yaml that names images to judge: name them with "
            "--data LAYOUT:ROOT"
        )
    data = None if recipe is None else recipe.data
    asked = spec if spec is not None else _validation(data)
    known = data if data is not None and _is_of(data, asked) else None
    split = split or ("val" if data is None else data.val_split)
    given = classes if classes is not None or known is None else known.classes
    ids = tuple(ignore) if ignore or known is None else known.ignore
    dataset = open_dataset(
        asked, split=split, classes=Path(given) if isinstance(given, str) else given, ignore=ids
    )
    return JudgedData(dataset, asked, split, ids)


def _validation(data: Data | None) -> str:
    return "" if data is None else data.val or data.train


def _is_of(data: Data, spec: str) -> bool:
    """Whether a data set is one of those that the recipe names."""
    return any(named and _same(named, spec) for named in (data.train, data.val))


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    if is_synthetic(one) or is_synthetic(other):
        return False
    try:
        return place_of(one).root.resolve() == place_of(other).root.resolve()
    except DatasetError:  # the recipe's folder has gone
        return False
