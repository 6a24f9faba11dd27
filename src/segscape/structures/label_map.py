"""A category for each pixel."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from segscape.structures.errors import StructureError
from segscape.structures.size import Size
from segscape.structures.taxonomy import Taxonomy

# torch computes little with these: not even the smallest and largest value.
_WIDE_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


@dataclass(frozen=True)
class LabelMap:
    """One category per pixel, or the taxonomy's ignored id.

    Args:
        labels: category ids; any signed integer type, or `uint8` where the ids fit.
        taxonomy: what the ids mean.

    Raises:
        StructureError: when a label is neither a category nor the ignored id, or of a type that
            torch cannot compute with.
    """

    labels: Integer[Tensor, "height width"]
    taxonomy: Taxonomy

    def __post_init__(self) -> None:
        if self.labels.numel() == 0:
            raise StructureError("LabelMap got no pixels: labels must be at least 1 x 1")
        if self.labels.dtype in _WIDE_UNSIGNED:
            raise StructureError(
                f"LabelMap got labels of {self.labels.dtype}, which torch hardly computes with: "
                "give them as torch.int32 or torch.int64"
            )
        count, ignore = len(self.taxonomy), self.taxonomy.ignore_id
        low, high = (int(value) for value in torch.aminmax(self.labels))
        if low >= 0 and high < count:
            return
        # In uint8, 255 + 1 is 0: one pass where comparisons would take twenty times as long.
        wraps = self.labels.dtype == torch.uint8 and ignore == 255
        if wraps and int((self.labels + 1).amax()) <= count:
            return
        strange = (self.labels < 0) | ((self.labels >= count) & ~self.ignored())
        if bool(strange.any()):
            found = torch.unique(self.labels[strange])[:8].tolist()
            raise StructureError(
                f"LabelMap: {int(strange.sum())} pixels hold the ids {found}, but the {count} "
                f"categories have ids 0..{count - 1} and {ignore} is ignored: map or ignore them"
            )

    @property
    def size(self) -> Size:
        """Height and width in pixels."""
        return Size(*self.labels.shape)

    def ignored(self) -> Bool[Tensor, "height width"]:
        """True where the taxonomy's ignored id stands."""
        return self.where(self.taxonomy.ignore_id)

    def where(self, label: int) -> Bool[Tensor, "height width"]:
        """True where this label stands.

        `labels == label` is wrong for a label that the tensor's type cannot hold: torch wraps it,
        and 65535 equals 255 among `uint8`.
        """
        if label > torch.iinfo(self.labels.dtype).max:
            return torch.zeros_like(self.labels, dtype=torch.bool)
        return self.labels == label

    @classmethod
    def from_scores(
        cls, scores: Float[Tensor, "category height width"], taxonomy: Taxonomy
    ) -> "LabelMap":
        """Take the category of the highest score (or logit) at each pixel.

        Raises:
            StructureError: when there is not one score map per category.
        """
        if scores.shape[0] != len(taxonomy):
            raise StructureError(
                f"LabelMap.from_scores got {scores.shape[0]} score maps for {len(taxonomy)} "
                "categories: give one each"
            )
        small = torch.uint8 if taxonomy.ignore_id <= 255 else torch.int32
        # On a CPU `max` is up to seven times faster than `argmax`; both take the first of equals.
        return cls(scores.max(0).indices.to(small), taxonomy)
