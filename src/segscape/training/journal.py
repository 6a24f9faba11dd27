"""The journal of a run: `journal.jsonl`, one JSON object per line, in the order of events.

Every line has `kind` and `step` (optimizer steps done) and, last, `time`: everything that two equal
runs may differ in. An interrupted and resumed run writes the same lines as an uninterrupted one,
except for `time` and the `resume` lines.

- `start`, once: `steps` to do, `images`, `epoch_steps`, `parameters`, `precision`,
  `channels_last`, `processes`; `time.environment` {name: value}.
- `resume`, at each continuation: as `start`.
- `step`, after each optimizer step: `epoch` (images seen / images in the data set), `loss`, `terms`
  {name: value}, `learning_rate`, `gradient_norm` (before clipping); `time.seconds`.
- `evaluation`, after each validation: `epoch`, `loss`, `miou`, `pixel_accuracy`, `iou` {category:
  value}, `best` (true at a new best); `time.seconds` of the validation, `time.data_wait` (share of
  the training time since the last evaluation that steps waited for images),
  `time.images_per_second` of training.
- `end`, once: `epoch`, `reason` (`finished` or `early_stopping`), `best` {step, miou};
  `time.seconds` of the last session.

`null` stands for numbers that are not finite. A last line torn by a kill is not read.
"""

import json
import math
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from segscape.structures import OutputError

JOURNAL = "journal.jsonl"
Record = dict[str, Any]


class Journal:
    """Append records to the journal of a run.

    Args:
        run: the run folder, which must exist.
        keep_bytes: cut the journal to this length first: what followed a checkpoint happened in a
            future that was lost. None keeps all.

    Raises:
        OutputError: when the file cannot be opened or written.
    """

    def __init__(self, run: Path, *, keep_bytes: int | None = None) -> None:
        self.path = run / JOURNAL
        try:
            self._file = self.path.open("ab")
            if keep_bytes is not None:
                self._file.truncate(keep_bytes)
                self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be opened: {error.strerror}") from error

    def append(
        self, kind: str, step: int, values: Mapping[str, Any], time: Mapping[str, Any]
    ) -> None:
        """Write one line and hand it to the system at once.

        Raises:
            OutputError: when the line cannot be written, as on a full disk.
        """
        record = {"kind": kind, "step": step, **values, "time": dict(time)}
        with self._telling():
            self._file.write(json.dumps(_finite(record)).encode() + b"\n")
            self._file.flush()

    def sync(self) -> int:
        """Force what was written to the disk and return the length in bytes.

        Raises:
            OutputError: when the disk refuses.
        """
        with self._telling():
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file; nothing more can be appended."""
        # A line that the disk refused is still buffered, and closing tries once more.
        with suppress(OSError):
            self._file.close()

    @contextmanager
    def _telling(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written: {error.strerror}: free some space, then continue "
                "with --resume"
            ) from error

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_journal(run: Path) -> list[Record]:
    """The records of a run, oldest first; a torn last line is left out.

    Raises:
        OutputError: when the run has no journal or a line before the last is damaged.
    """
    path = run / JOURNAL
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise OutputError(
            f"{path}: {error.strerror}: name a folder that `segscape train --out` has written"
        ) from error
    records: list[Record] = []
    for number, line in enumerate(lines, start=1):
        try:
            if line:
                records.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise OutputError(
                    f"{path}: line {number} is damaged, expected one JSON object per line: "
                    "delete the line"
                ) from error
    return records


def _finite(value: object) -> object:
    """JSON has no nan: null stands for it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
