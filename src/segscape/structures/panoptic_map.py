"""Each pixel in exactly one segment."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from segscape.structures.errors import StructureError
from segscape.structures.instance_set import InstanceSet
from segscape.structures.label_map import LabelMap
from segscape.structures.size import Size
from segscape.structures.taxonomy import Taxonomy

VOID_SEGMENT = 0


@dataclass(frozen=True)
class Segment:
    """What a segment id stands for.

    Args:
        id: 1 or more, unique within the image.
        category_id: index into the taxonomy.
        score: in [0, 1].
        is_crowd: True when the segment covers a group that was not told apart.
    """

    id: int
    category_id: int
    score: float = 1.0
    is_crowd: bool = False


@dataclass(frozen=True)
class PanopticMap:
    """Segments that do not overlap: one per object of a thing, one per kind of stuff.

    Args:
        segment_ids: the segment of each pixel; 0 is void.
        segments: one entry per id that occurs, in any order.
        taxonomy: what the category ids mean.

    Raises:
        StructureError: when ids and segments differ, an id stands twice, a category is unknown or
            a kind of stuff has two segments.
    """

    segment_ids: Integer[Tensor, "height width"]
    segments: tuple[Segment, ...]
    taxonomy: Taxonomy

    def __post_init__(self) -> None:
        if self.segment_ids.numel() == 0:
            raise StructureError("PanopticMap got no pixels: it must be at least 1 x 1")
        listed = [segment.id for segment in self.segments]
        if len(set(listed)) < len(listed):
            raise StructureError(f"PanopticMap: segment ids {sorted(listed)} repeat: use each once")
        stuff: set[int] = set()
        for segment in self.segments:
            self._refuse_wrong(segment, stuff)
        drawn = set(torch.unique(self.segment_ids).tolist()) - {VOID_SEGMENT}
        if drawn != set(listed):
            raise StructureError(
                f"PanopticMap: ids drawn but not listed {sorted(drawn - set(listed))}, listed but "
                f"not drawn {sorted(set(listed) - drawn)}: name the same in both (0 is void)"
            )

    def _refuse_wrong(self, segment: Segment, stuff: set[int]) -> None:
        if segment.id <= VOID_SEGMENT:
            raise StructureError(
                f"PanopticMap: a segment has the id {segment.id}, ids begin at 1 and 0 is void: "
                "renumber the segments"
            )
        if not 0 <= segment.category_id < len(self.taxonomy):
            raise StructureError(
                f"PanopticMap: segment {segment.id} has category {segment.category_id}, the "
                f"taxonomy has 0..{len(self.taxonomy) - 1}: map it or add the category"
            )
        if not 0 <= segment.score <= 1:
            raise StructureError(
                f"PanopticMap: segment {segment.id} has score {segment.score}, expected [0, 1]: "
                "apply a sigmoid first"
            )
        if not self.taxonomy.categories[segment.category_id].is_thing:
            if segment.category_id in stuff:
                name = self.taxonomy.names[segment.category_id]
                raise StructureError(
                    f"PanopticMap: stuff '{name}' has two segments: merge them into one"
                )
            stuff.add(segment.category_id)

    @property
    def size(self) -> Size:
        """Height and width in pixels."""
        return Size(*self.segment_ids.shape)

    def to_label_map(self) -> LabelMap:
        """The category of each pixel; void becomes the ignored id."""
        labels = torch.full_like(self.segment_ids, self.taxonomy.ignore_id, dtype=torch.int64)
        for segment in self.segments:
            labels[self.segment_ids == segment.id] = segment.category_id
        return LabelMap(
            labels.to(torch.uint8) if self.taxonomy.ignore_id <= 255 else labels, self.taxonomy
        )

    def to_instance_set(self) -> InstanceSet:
        """The segments of thing categories, in the order of `segments`."""
        things = [
            segment
            for segment in self.segments
            if self.taxonomy.categories[segment.category_id].is_thing
        ]
        device = self.segment_ids.device
        ids = torch.tensor([segment.id for segment in things], dtype=torch.int64, device=device)
        return InstanceSet.from_masks(
            self.segment_ids[None] == ids[:, None, None],
            torch.tensor(
                [segment.category_id for segment in things], dtype=torch.int64, device=device
            ),
            self.taxonomy,
            scores=torch.tensor(
                [segment.score for segment in things], dtype=torch.float32, device=device
            ),
            is_crowd=torch.tensor(
                [segment.is_crowd for segment in things], dtype=torch.bool, device=device
            ),
        )

    @classmethod
    def from_label_map(cls, label_map: LabelMap, instances: InstanceSet) -> "PanopticMap":
        """Combine stuff from labels with objects; earlier objects win where two overlap.

        A pixel takes the first object that covers it, else the stuff of its label, else void: a
        pixel labelled as a thing that no object claims is void, since nobody can say which object
        it is. Objects that are wholly covered leave no segment.

        Raises:
            StructureError: when the two differ in size or taxonomy.
        """
        if label_map.taxonomy != instances.taxonomy:
            raise StructureError(
                "PanopticMap.from_label_map got two taxonomies: labels and objects must share one"
            )
        if tuple(label_map.size) != tuple(instances.masks.shape[1:]):
            raise StructureError(
                f"PanopticMap.from_label_map: labels are {tuple(label_map.size)} but masks "
                f"{tuple(instances.masks.shape[1:])} pixels: resize one of them"
            )
        ids: Int64[Tensor, "height width"] = torch.zeros_like(label_map.labels, dtype=torch.int64)
        segments: list[Segment] = []
        for position, mask in enumerate(instances.masks):
            free = mask & (ids == VOID_SEGMENT)
            if bool(free.any()):
                segments.append(
                    Segment(
                        len(segments) + 1,
                        int(instances.category_ids[position]),
                        float(instances.scores[position]),
                        bool(instances.is_crowd[position]),
                    )
                )
                ids[free] = segments[-1].id
        unclaimed = ids == VOID_SEGMENT
        for category_id, category in enumerate(label_map.taxonomy.categories):
            here = unclaimed & label_map.where(category_id)
            if not category.is_thing and bool(here.any()):
                segments.append(Segment(len(segments) + 1, category_id))
                ids[here] = segments[-1].id
        return cls(ids, tuple(segments), label_map.taxonomy)
