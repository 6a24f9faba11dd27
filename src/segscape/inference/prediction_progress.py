"""A progress bar for what takes more than two seconds, and lines for what fails."""

from time import perf_counter
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 2.0


class PredictionProgress:
    """A bar over images that appears after two seconds, on a terminal only.

    Args:
        images: how many there are.
        shown: False for neither bar nor lines.
    """

    def __init__(self, images: int, *, shown: bool) -> None:
        self._console = Console(stderr=True)
        self._shown = shown
        self._bar = Progress(
            TextColumn("predicting"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.percentage:.0f} %"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=images)
        self._finished = 0
        self._began = perf_counter()
        self._drawn = False

    def __enter__(self) -> "PredictionProgress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._drawn:
            self._bar.stop()

    def part(self, share: float) -> None:
        """A share of the current image is done."""
        self._bar.update(self._task, completed=self._finished + share)
        if self._shown and not self._drawn and perf_counter() - self._began > PATIENCE:
            self._drawn = True
            self._bar.start()

    def done(self) -> None:
        """The current image is done."""
        self._finished += 1
        self.part(0.0)

    def tell(self, line: str) -> None:
        """Print a line above the bar."""
        if self._shown:
            # Not through markup: file names may hold square brackets.
            self._console.print(
                f"segscape: {line}", style="red", markup=False, highlight=False, soft_wrap=True
            )
