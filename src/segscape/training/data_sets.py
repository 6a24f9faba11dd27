"""The images of a recipe."""

from dataclasses import dataclass
from pathlib import Path

from segscape.datasets import open_dataset
from segscape.datasets.dataset import Dataset
from segscape.structures import DatasetError, LabelMap
from segscape.training.recipe import Recipe


@dataclass(frozen=True)
class Sets:
    """The images of a run.

    Args:
        train: to learn from.
        val: to judge by.
    """

    train: Dataset[LabelMap]
    val: Dataset[LabelMap]


def open_sets(recipe: Recipe) -> Sets:
    """Open the data sets of a recipe.

    Raises:
        SegscapeError: when one cannot be opened, is empty, or they mean different categories.
    """
    data = recipe.data
    classes = Path(data.classes) if isinstance(data.classes, str) else data.classes
    sets = Sets(
        *(
            open_dataset(spec, split=split, classes=classes, ignore=data.ignore)
            for spec, split in (
                (data.train, data.train_split),
                (data.val or data.train, data.val_split),
            )
        )
    )
    for key, dataset in (("data.train", sets.train), ("data.val", sets.val)):
        if len(dataset) == 0:
            raise DatasetError(f"{key}: no images: name a folder and split that hold some")
    if sets.train.taxonomy != sets.val.taxonomy:
        raise DatasetError(
            f"data.train means {', '.join(sets.train.taxonomy.names)} and data.val "
            f"{', '.join(sets.val.taxonomy.names)}: give both the same classes (data.classes)"
        )
    return sets
