"""What a person sees while a model trains: a bar at a terminal, plain lines elsewhere."""

import sys
from time import monotonic
from types import TracebackType
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_LINE_EVERY = 30.0
_SMOOTHING = 0.95


@runtime_checkable
class Display(Protocol):
    """Shows how a training goes."""

    def step(self, step: int, loss: float) -> None:
        """An optimizer step was done."""
        ...

    def evaluation(
        self, step: int, epoch: float, loss: float, miou: float | None, *, best: bool
    ) -> None:
        """A validation was done."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line happened."""
        ...

    def __enter__(self) -> "Display": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Silence:
    """Shows nothing: for tests, and for all processes but the first."""

    def step(self, step: int, loss: float) -> None:
        """Show nothing."""

    def evaluation(
        self, step: int, epoch: float, loss: float, miou: float | None, *, best: bool
    ) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def __enter__(self) -> "Silence":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class _Smoothed:
    """A running mean of the loss: single batches jump too much to be read."""

    def __init__(self) -> None:
        self.value: float | None = None

    def add(self, loss: float) -> float:
        before = loss if self.value is None else self.value
        self.value = _SMOOTHING * before + (1 - _SMOOTHING) * loss
        return self.value


class Bar:
    """A bar with the loss, the mIoU and the time that is left.

    Args:
        steps: in all.
        step: done before.
    """

    def __init__(self, steps: int, step: int) -> None:
        self._loss = _Smoothed()
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}  mIoU {task.fields[miou]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(
            "training", total=steps, completed=step, loss="-", miou="-"
        )

    def step(self, step: int, loss: float) -> None:
        """Move the bar."""
        shown = f"{self._loss.add(loss):.4f}"
        self._progress.update(self._task, completed=step, loss=shown)

    def evaluation(
        self, step: int, epoch: float, loss: float, miou: float | None, *, best: bool
    ) -> None:
        """Show the score and keep it as a line above the bar."""
        self._progress.update(self._task, miou=_score(miou))
        self.note(_evaluation_line(epoch, loss, miou, best=best))

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()


class Lines(Silence):
    """A line now and then, for log files.

    Args:
        steps: in all.
        step: done before.
    """

    def __init__(self, steps: int, step: int) -> None:
        self._steps = steps
        self._first = step
        self._loss = _Smoothed()
        self._began = self._spoke = monotonic()

    def step(self, step: int, loss: float) -> None:
        """Print a line when the last one is half a minute old."""
        smooth = self._loss.add(loss)
        now = monotonic()
        if now - self._spoke < _LINE_EVERY:
            return
        self._spoke = now
        left = (now - self._began) / (step - self._first) * (self._steps - step)
        self.note(f"step {step}/{self._steps}  loss {smooth:.4f}  about {left / 60:.1f} min left")

    def evaluation(
        self, step: int, epoch: float, loss: float, miou: float | None, *, best: bool
    ) -> None:
        """Print the scores."""
        self.note(_evaluation_line(epoch, loss, miou, best=best))

    def note(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - a log is what this is

    def __enter__(self) -> "Lines":
        return self


def display(steps: int, step: int) -> Display:
    """A bar when a person watches, lines otherwise."""
    return Bar(steps, step) if sys.stderr.isatty() else Lines(steps, step)


def _evaluation_line(epoch: float, loss: float, miou: float | None, *, best: bool) -> str:
    mark = "  best so far" if best else ""
    return f"epoch {epoch:6.1f}  validation loss {loss:.4f}  mIoU {_score(miou)}{mark}"


def _score(miou: float | None) -> str:
    return "not defined" if miou is None else f"{miou:.4f}"
