"""Regions without names."""

from dataclasses import dataclass

import torch
from jaxtyping import Integer
from torch import Tensor

from segscape.structures.errors import StructureError
from segscape.structures.size import Size


@dataclass(frozen=True)
class Partition:
    """Every pixel in one region; what clustering and superpixels return.

    Args:
        regions: region ids 0..n-1, each used at least once.

    Raises:
        StructureError: when an id is negative or skipped.
    """

    regions: Integer[Tensor, "height width"]

    def __post_init__(self) -> None:
        if self.regions.numel() == 0:
            raise StructureError("Partition got no pixels: regions must be at least 1 x 1")
        if not _all_used(self.regions):
            used = torch.unique(self.regions)
            raise StructureError(
                f"Partition uses {used.numel()} ids between {int(used[0])} and {int(used[-1])}, "
                f"expected 0..{used.numel() - 1} without gaps: Partition.from_ids renumbers them"
            )

    @classmethod
    def from_ids(cls, ids: Integer[Tensor, "height width"]) -> "Partition":
        """Renumber any ids to 0..n-1, in their order.

        >>> Partition.from_ids(torch.tensor([[7, 7], [-1, 9]])).regions.tolist()
        [[1, 1], [0, 2]]
        """
        return cls(torch.unique(ids, return_inverse=True)[1])

    @property
    def size(self) -> Size:
        """Height and width in pixels."""
        return Size(*self.regions.shape)

    @property
    def count(self) -> int:
        """The number of regions."""
        return int(self.regions.max()) + 1


def _all_used(regions: Integer[Tensor, "height width"]) -> bool:
    """Whether the ids are 0..n-1; by counting, a tenth of the time of sorting them."""
    least, largest = (int(end) for end in torch.aminmax(regions))
    if least != 0 or largest >= regions.numel():
        return False
    return bool((torch.bincount(regions.flatten(), minlength=largest + 1) > 0).all())
