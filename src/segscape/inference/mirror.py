"""Windows of an image that may reach beyond its borders, where the image is mirrored."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

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


def reflected(start: int, count: int, length: int) -> Int64[Tensor, " count"]:
    """Positions start, start + 1, ... folded back into 0..length-1 at the first and last pixel.

    The border pixel itself is not repeated; beyond a whole length the fold goes on, so that any
    reach works on any image, one pixel included.

    >>> reflected(-2, 8, 3).tolist()
    [2, 1, 0, 1, 2, 1, 0, 1]
    """
    period = max(2 * (length - 1), 1)
    folded = torch.arange(start, start + count).remainder(period)
    return torch.where(folded < length, folded, period - folded)


def read_mirrored(
    reader: ImageReader, top: int, left: int, height: int, width: int
) -> UInt8[Tensor, "channel height width"]:
    """Read a window that may start before, and end beyond, the image.

    >>> image = torch.arange(3, dtype=torch.uint8).expand(1, 1, 3)
    >>> read_mirrored(TensorReader(image), 0, -1, 1, 5).tolist()
    [[[1, 0, 1, 2, 1]]]
    """
    size = reader.size
    rows = reflected(top, height, size.height)
    columns = reflected(left, width, size.width)
    first_row, last_row = int(rows.min()), int(rows.max())
    first_column, last_column = int(columns.min()), int(columns.max())
    part = reader.read(
        first_row, first_column, last_row - first_row + 1, last_column - first_column + 1
    )
    if (first_row, first_column) == (top, left) and part.shape[1:] == (height, width):
        return part
    rows, columns = (rows - first_row).to(part.device), (columns - first_column).to(part.device)
    return part[:, rows[:, None], columns]
