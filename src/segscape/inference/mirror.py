"""Windows of an image that may reach beyond its borders, where the image is mirrored."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import UInt8
from torch import Tensor

from segscape.layers.mirror import mirrored_positions
from segscape.structures import Size


@runtime_checkable
class ImageReader(Protocol):
    """An image that is read by windows, so that it never has to be in memory as a whole."""

    @property
    def size(self) -> Size:
        """Height and width in pixels."""
        ...

    def read(
        self, top: int, left: int, height: int, width: int
    ) -> UInt8[Tensor, "channel height width"]:
        """Read one window that lies inside the image."""
        ...


@dataclass(frozen=True)
class TensorReader:
    """An image in memory, read by windows."""

    image: UInt8[Tensor, "channel height width"]

    @property
    def size(self) -> Size:
        """Height and width in pixels."""
        return Size(*self.image.shape[1:])

    def read(
        self, top: int, left: int, height: int, width: int
    ) -> UInt8[Tensor, "channel height width"]:
        """Cut one window; a view, not a copy."""
        return self.image[:, top : top + height, left : left + width]


def read_mirrored(
    reader: ImageReader, top: int, left: int, height: int, width: int
) -> UInt8[Tensor, "channel height width"]:
    """Read a window that may start before, and end beyond, the image.

    >>> import torch
    >>> image = torch.arange(3, dtype=torch.uint8).expand(1, 1, 3)
    >>> read_mirrored(TensorReader(image), 0, -1, 1, 5).tolist()
    [[[1, 0, 1, 2, 1]]]
    """
    size = reader.size
    rows = mirrored_positions(size.height, top, top + height)
    columns = mirrored_positions(size.width, left, left + width)
    first_row, last_row = int(rows.min()), int(rows.max())
    first_column, last_column = int(columns.min()), int(columns.max())
    part = reader.read(
        first_row, first_column, last_row - first_row + 1, last_column - first_column + 1
    )
    if (first_row, first_column) == (top, left) and part.shape[1:] == (height, width):
        return part
    rows, columns = (rows - first_row).to(part.device), (columns - first_column).to(part.device)
    return part[:, rows[:, None], columns]
