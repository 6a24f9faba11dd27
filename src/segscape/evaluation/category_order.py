"""A model's categories against those of a data set: matched by name, never by number alone."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from segscape.structures import CheckpointError, LabelMap, Taxonomy

MOST_NAMES = 8


@dataclass(frozen=True)
class CategoryOrder:
    """How to bring a model's results into the order of a data set.

    Args:
        model: the categories the model knows.
        data: the categories of the data set: the same names in any order.

    Raises:
        CheckpointError: when the names differ; it says which.
    """

    model: Taxonomy
    data: Taxonomy

    def __post_init__(self) -> None:
        unknown = [name for name in self.data.names if name not in self.model.names]
        missing = [name for name in self.model.names if name not in self.data.names]
        if unknown or missing:
            findings = [
                f"{_listed(unknown)} only in the data" if unknown else "",
                f"{_listed(missing)} only in the model" if missing else "",
            ]
            raise CheckpointError(
                f"model and data set have different categories: {', '.join(filter(None, findings))}"
                ": choose data of the model's categories, or name them in the data set's order "
                "with --classes"
            )

    @property
    def is_same(self) -> bool:
        """Whether ids mean the same in both."""
        return self.model.names == self.data.names

    def of_scores(
        self, scores: Float[Tensor, "category height width"]
    ) -> Float[Tensor, "category height width"]:
        """Score maps in the data set's order."""
        if self.is_same:
            return scores
        return scores[[self.model.names.index(name) for name in self.data.names]]

    def of_labels(self, label_map: LabelMap) -> LabelMap:
        """Labels with the data set's ids."""
        if self.is_same and self.model.ignore_id == self.data.ignore_id:
            return LabelMap(label_map.labels.cpu(), self.data)
        small = torch.uint8 if self.data.ignore_id <= 255 else torch.int32
        ids = [self.data.names.index(name) for name in self.model.names]
        table = torch.tensor([*ids, self.data.ignore_id], dtype=small)
        labels = label_map.labels.cpu().long()
        return LabelMap(table[labels.masked_fill(label_map.ignored().cpu(), len(ids))], self.data)


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:MOST_NAMES])
    return shown + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
