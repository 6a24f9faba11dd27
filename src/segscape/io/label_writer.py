"""Label maps far larger than memory, written by windows."""

import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer
from numpy.typing import NDArray
from torch import Tensor

from segscape.io.label_coding import LabelCoding
from segscape.structures import LabelMap, OutputError, Size, StructureError


@runtime_checkable
class TileSink(Protocol):
    """Where complete tiles go."""

    def put(self, row: int, column: int, pixels: NDArray[Any]) -> None:
        """Store the tile in this row and column of tiles; pixels are (tile, tile)."""
        ...

    def finish(self) -> None:
        """All tiles are stored."""
        ...

    def close(self) -> None:
        """Let go of the file, finished or not."""
        ...


class LabelWriter:
    """Takes windows of labels and stores each tile as soon as all its pixels are there.

    Memory holds the tiles begun but not complete: give the windows row by row, and that is one row
    of tiles. Windows may have any size and order but must cover each pixel once. The file appears
    on `close`, or at the end of a `with` block, whole; an error within the block leaves nothing.

    Args:
        path: of the result, for the errors.
        size: of the whole label map.
        coding: the ids to write.
        tile: height and width of a tile.
        dtype: of the ids.
        sink: where tiles go.
        stack: holds the atomic file or folder that the sink writes to.
    """

    def __init__(
        self,
        path: Path,
        size: Size,
        coding: LabelCoding,
        tile: int,
        dtype: type[np.uint8 | np.uint16],
        sink: TileSink,
        stack: ExitStack,
    ) -> None:
        self.path, self.size = path, size
        self._coding, self._tile, self._dtype = coding, tile, dtype
        self._sink, self._stack = sink, stack
        self._down, self._across = -(-size.height // tile), -(-size.width // tile)
        self._open: dict[tuple[int, int], tuple[NDArray[Any], NDArray[np.bool_]]] = {}
        self._done = np.zeros((self._down, self._across), np.bool_)
        self._closed = False

    def write(self, top: int, left: int, labels: Integer[Tensor, "height width"]) -> None:
        """Store a window of labels, as a LabelMap holds them.

        Args:
            top: its first row in the whole map.
            left: its first column.
            labels: category ids or the taxonomy's ignored id.

        Raises:
            StructureError: when the window leaves the map, covers a pixel a second time or holds
                ids without a category.
            OutputError: when the writer is closed or the disk refuses; nothing is left then.
        """
        if self._closed:
            raise OutputError(f"{self.path}: is closed: write before closing")
        height, width = labels.shape
        if top < 0 or left < 0 or top + height > self.size.height or left + width > self.size.width:
            raise StructureError(
                f"{self.path}: a window of {height} x {width} at ({top}, {left}) leaves the label "
                f"map of {self.size.height} x {self.size.width}"
            )
        ids = self._coding.to_ids(LabelMap(labels, self._coding.taxonomy)).numpy()
        tile = self._tile
        for row in range(top // tile, -(-(top + height) // tile)):
            for column in range(left // tile, -(-(left + width) // tile)):
                y0, y1 = max(top, row * tile), min(top + height, (row + 1) * tile)
                x0, x1 = max(left, column * tile), min(left + width, (column + 1) * tile)
                self._fill(
                    row, column, (y0, y1, x0, x1), ids[y0 - top : y1 - top, x0 - left : x1 - left]
                )

    def _fill(
        self, row: int, column: int, place: tuple[int, int, int, int], ids: NDArray[Any]
    ) -> None:
        y0, y1, x0, x1 = place
        pixels, missing = self._tile_at(row, column)
        inside = (
            slice(y0 - row * self._tile, y1 - row * self._tile),
            slice(x0 - column * self._tile, x1 - column * self._tile),
        )
        if self._done[row, column] or not missing[inside].all():
            raise StructureError(
                f"{self.path}: rows {y0}..{y1 - 1}, columns {x0}..{x1 - 1} were written before: "
                "give each pixel once"
            )
        pixels[inside] = ids
        missing[inside] = False
        if not missing.any():
            del self._open[row, column]
            self._done[row, column] = True
            try:
                self._sink.put(row, column, pixels)
            except BaseException:
                self._end(*sys.exc_info())
                raise

    def _tile_at(self, row: int, column: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        if self._done[row, column]:
            nothing = np.zeros((self._tile, self._tile), np.bool_)
            return nothing, nothing
        if (row, column) not in self._open:
            pixels = np.full((self._tile, self._tile), self._coding.void_id, self._dtype)
            missing = np.zeros(pixels.shape, np.bool_)
            # What reaches beyond the map stays void and is not waited for.
            rows = self.size.height - row * self._tile
            columns = self.size.width - column * self._tile
            missing[:rows, :columns] = True
            self._open[row, column] = pixels, missing
        return self._open[row, column]

    def close(self) -> None:
        """Make the result appear; closing again does nothing.

        Raises:
            OutputError: when pixels were never written or the disk refuses; nothing is left then.
        """
        if self._closed:
            return
        try:
            if not self._done.all():
                row, column = (int(n) for n in np.argwhere(~self._done)[0])
                raise OutputError(
                    f"{self.path}: {int((~self._done).sum())} of {self._done.size} tiles lack "
                    f"pixels, the first at row {row * self._tile}, column {column * self._tile}: "
                    "write every window before closing"
                )
            self._sink.finish()
        except BaseException:
            self._end(*sys.exc_info())
            raise
        self._end(None, None, None)

    def abandon(self) -> None:
        """Give up: nothing is left; does nothing after `close`."""
        if not self._closed:
            self._end(_AbandonedError, _AbandonedError(), None)

    def _end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        self._open.clear()
        with suppress(OSError):
            self._sink.close()
        self._stack.__exit__(kind, error, trace)

    def __enter__(self) -> "LabelWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        elif not self._closed:
            self._end(kind, error, trace)


class _AbandonedError(Exception):
    """Travels through the atomic file or folder so that it removes its temporary."""
