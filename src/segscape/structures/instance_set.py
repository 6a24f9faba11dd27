"""The objects of one image."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int64, Integer
from torch import Tensor

from segscape.ops.masks import boxes_around
from segscape.structures.errors import StructureError
from segscape.structures.taxonomy import Taxonomy


@dataclass(frozen=True)
class InstanceSet:
    """Objects with their masks; ground truth is the same type with scores of 1.

    Args:
        masks: True where an object is; objects may overlap.
        boxes: left, top, right, bottom in pixels, right and bottom exclusive.
        category_ids: ids of thing categories.
        scores: in [0, 1].
        is_crowd: True where a mask covers a group that was not told apart.
        taxonomy: what the ids mean.

    Raises:
        StructureError: for unequal lengths, an id that is not a thing, a score outside [0, 1], or
            a box that is turned inside out or leaves the image.
    """

    masks: Bool[Tensor, "object height width"]
    boxes: Float[Tensor, "object 4"]
    category_ids: Int64[Tensor, "object"]
    scores: Float[Tensor, "object"]
    is_crowd: Bool[Tensor, "object"]
    taxonomy: Taxonomy

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in _PER_OBJECT}
        if len(set(lengths.values())) > 1:
            raise StructureError(f"InstanceSet parts differ in length: {lengths}: give one each")
        height, width = self.masks.shape[1:]
        if height == 0 or width == 0:
            raise StructureError("InstanceSet got no pixels: masks must be at least 1 x 1")
        strange = sorted(set(self.category_ids.tolist()) - set(self.taxonomy.thing_ids))
        if strange:
            raise StructureError(
                f"InstanceSet: category ids {strange} are not things; things are "
                f"{list(self.taxonomy.thing_ids)}: mark the category as a thing or leave it out"
            )
        if not bool(((self.scores >= 0) & (self.scores <= 1)).all()):
            raise StructureError("InstanceSet: scores must lie in [0, 1]: apply a sigmoid first")
        left, top, right, bottom = self.boxes.unbind(1)
        inside = (left >= 0) & (left <= right) & (right <= width)
        inside &= (top >= 0) & (top <= bottom) & (bottom <= height)
        if not bool(inside.all()):
            where = int(torch.nonzero(~inside)[0])
            raise StructureError(
                f"InstanceSet: box {self.boxes[where].tolist()} of object {where} is not (left, "
                f"top, right, bottom) inside {height} x {width}: clip it or swap its corners"
            )

    @classmethod
    def from_masks(
        cls,
        masks: Bool[Tensor, "object height width"],
        category_ids: Int64[Tensor, "object"],
        taxonomy: Taxonomy,
        *,
        scores: Float[Tensor, "object"] | None = None,
        is_crowd: Bool[Tensor, "object"] | None = None,
    ) -> "InstanceSet":
        """Build with the tight boxes around the masks.

        Scores are 1 and nothing is a crowd unless given.
        """
        count, device = len(masks), masks.device
        return cls(
            masks=masks,
            boxes=boxes_around(masks),
            category_ids=category_ids,
            scores=torch.ones(count, device=device) if scores is None else scores,
            is_crowd=torch.zeros(count, dtype=torch.bool, device=device)
            if is_crowd is None
            else is_crowd,
            taxonomy=taxonomy,
        )

    def __len__(self) -> int:
        return len(self.masks)

    def select(
        self, which: Bool[Tensor, "object"] | Integer[Tensor, "kept"] | Sequence[int]
    ) -> "InstanceSet":
        """The objects at these positions or where True, in the order asked for."""
        index = torch.as_tensor(which, device=self.masks.device)
        if index.numel() == 0:
            index = index.long()
        parts = {name: getattr(self, name)[index] for name in _PER_OBJECT}
        return InstanceSet(**parts, taxonomy=self.taxonomy)


_PER_OBJECT = tuple(field.name for field in fields(InstanceSet) if field.name != "taxonomy")
