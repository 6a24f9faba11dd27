"""Scores that wait for the next row of windows: in memory while few, on disk when many."""

import io
import tempfile
from types import TracebackType

import torch
from jaxtyping import Float
from torch import Tensor

from segscape.structures import OutputError

IN_MEMORY = 256 * 2**20


class Strips:
    """Tensors by position, each taken once after it was put.

    A row of strips is as long as the image is wide: 150 categories, 128 rows and 30,000 columns
    are 2.3 GB. What does not fit into `limit` bytes goes to one nameless temporary file, which is
    gone with the process however it ends; the folder is the system's (TMPDIR moves it).

    Args:
        limit: bytes kept in memory.
    """

    def __init__(self, limit: int = IN_MEMORY) -> None:
        self._limit = limit
        self._held = 0
        self._in_memory: dict[int, Tensor] = {}
        self._on_disk: dict[int, torch.Size] = {}
        self._places: dict[int, int] = {}
        self._end = 0
        self._file: io.FileIO | None = None

    def __enter__(self) -> "Strips":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def put(self, position: int, strip: Float[Tensor, "category row column"]) -> None:
        """Keep a copy.

        Raises:
            OutputError: when the temporary folder is full.
        """
        if self._held + strip.nbytes <= self._limit:
            # A copy, because a view would keep its whole window in memory.
            self._in_memory[position] = strip.clone(memory_format=torch.contiguous_format)
            self._held += strip.nbytes
            return
        try:
            self._write(position, strip.float().contiguous().cpu())
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()}: cannot keep the scores between windows "
                f"({error.strerror}): make room, set TMPDIR to another folder or give a smaller "
                "--overlap"
            ) from error

    def _write(self, position: int, strip: Tensor) -> None:
        file = self._opened()
        if position not in self._places:
            self._places[position] = self._end
            self._end += strip.nbytes
        file.seek(self._places[position])
        left = strip.numpy().data.cast("B")
        while left:
            left = left[file.write(left) :]
        self._on_disk[position] = strip.shape

    def _opened(self) -> io.FileIO:
        if self._file is None:
            # Unbuffered: strips are large, and a buffer would only copy them.
            self._file = tempfile.TemporaryFile(prefix="segscape-", buffering=0)  # noqa: SIM115 - closed in __exit__
        return self._file

    def take(self, position: int) -> Float[Tensor, "category row column"]:
        """Give back what was put at a position, and forget it."""
        if position in self._in_memory:
            strip = self._in_memory.pop(position)
            self._held -= strip.nbytes
            return strip
        strip = torch.empty(self._on_disk.pop(position))
        file = self._opened()
        file.seek(self._places[position])
        left = strip.numpy().data.cast("B")
        while left:
            left = left[file.readinto(left) :]
        return strip
