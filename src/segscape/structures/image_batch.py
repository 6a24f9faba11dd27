"""Images of several sizes in one tensor."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from segscape.structures.errors import StructureError
from segscape.structures.size import Size


@dataclass(frozen=True)
class ImageBatch:
    """Images padded right and bottom to one size.

    Args:
        pixels: values in [0, 1]; the padding is 0.
        sizes: the true size of each image, in the order of the batch.

    Raises:
        StructureError: when the sizes do not belong to the pixels.
    """

    pixels: Float[Tensor, "batch channel height width"]
    sizes: tuple[Size, ...]

    def __post_init__(self) -> None:
        batch, _, height, width = self.pixels.shape
        if len(self.sizes) != batch:
            raise StructureError(
                f"ImageBatch holds {batch} images but {len(self.sizes)} sizes: give one per image"
            )
        for size in self.sizes:
            if not (1 <= size.height <= height and 1 <= size.width <= width):
                raise StructureError(
                    f"ImageBatch: an image of {size.height} x {size.width} does not fit into "
                    f"pixels of {height} x {width}: pad the pixels first (ImageBatch.stack does)"
                )

    @classmethod
    def stack(cls, images: Sequence[UInt8[Tensor, "channel _ _"]]) -> "ImageBatch":
        """Build a batch from images of 0..255, padded to the largest height and width.

        Raises:
            StructureError: when there is no image or the channels differ.

        >>> one = torch.zeros(3, 4, 6, dtype=torch.uint8)
        >>> two = torch.zeros(3, 5, 2, dtype=torch.uint8)
        >>> ImageBatch.stack([one, two]).pixels.shape
        torch.Size([2, 3, 5, 6])
        """
        if not images:
            raise StructureError("ImageBatch.stack got no image: give at least one")
        channels = {image.shape[0] for image in images}
        if len(channels) > 1:
            raise StructureError(
                f"ImageBatch.stack got images of {sorted(channels)} channels: "
                "convert them to one number of channels"
            )
        sizes = tuple(Size(int(image.shape[1]), int(image.shape[2])) for image in images)
        height = max(size.height for size in sizes)
        width = max(size.width for size in sizes)
        stacked = torch.zeros(
            len(images), channels.pop(), height, width, dtype=torch.uint8, device=images[0].device
        )
        for slot, image, size in zip(stacked, images, sizes, strict=True):
            slot[:, : size.height, : size.width] = image
        return cls(stacked.float().div_(255), sizes)

    def valid(self) -> Bool[Tensor, "batch height width"]:
        """True where a pixel belongs to an image, False where it is padding."""
        batch, _, height, width = self.pixels.shape
        valid = torch.zeros(batch, height, width, dtype=torch.bool, device=self.pixels.device)
        for slot, size in zip(valid, self.sizes, strict=True):
            slot[: size.height, : size.width] = True
        return valid

    def to(self, device: torch.device | str) -> "ImageBatch":
        """The same batch on another device."""
        return ImageBatch(self.pixels.to(device, non_blocking=True), self.sizes)
