"""One item of a data set."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from jaxtyping import Float, UInt8
from torch import Tensor

from segscape.structures.errors import StructureError
from segscape.structures.instance_set import InstanceSet
from segscape.structures.label_map import LabelMap
from segscape.structures.panoptic_map import PanopticMap
from segscape.structures.size import Size

Target = TypeVar("Target", LabelMap, InstanceSet, PanopticMap, covariant=True)


@dataclass(frozen=True)
class Sample(Generic[Target]):
    """An image with its truth.

    Args:
        image: 0..255.
        target: the truth, of the image's size.
        key: names the item within its data set, as a file's stem.
        pixel_weights: how much each pixel counts in the loss, from a transform such as U-Net's
            border weights; None means 1 everywhere.

    Raises:
        StructureError: when image, target and weights differ in size.
    """

    image: UInt8[Tensor, "channel height width"]
    target: Target
    key: str
    pixel_weights: Float[Tensor, "height width"] | None = None

    def __post_init__(self) -> None:
        truth = (
            Size(*self.target.masks.shape[1:])
            if isinstance(self.target, InstanceSet)
            else self.target.size
        )
        if truth != self.size:
            raise StructureError(
                f"sample '{self.key}': the image is {self.size.height} x {self.size.width} but its "
                f"target {truth.height} x {truth.width} pixels: give a mask of the image's size"
            )
        if self.pixel_weights is not None and Size(*self.pixel_weights.shape) != self.size:
            raise StructureError(
                f"sample '{self.key}': pixel weights of {tuple(self.pixel_weights.shape)} for an "
                f"image of {tuple(self.size)} pixels: make them of the image's size"
            )

    @property
    def size(self) -> Size:
        """Height and width in pixels."""
        return Size(*self.image.shape[1:])
