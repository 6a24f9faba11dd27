"""What is said while a method works: nothing for two seconds, then a bar; and why the first waits.

The kernels of numba are compiled when they are first called and kept on disk: the first image of
all takes seconds that no later one takes. That is told in a line, else people think it is slow.
"""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from threading import Timer
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PATIENCE = 2.0
COMPILING = "compiling kernels, once: a few seconds up to some tens; later runs start at once"


class WorkProgress:
    """A bar over pieces of work that appears after two seconds, on a terminal only.

    Args:
        doing: what is done, in a word, as "segmenting".
        pieces: how many there are.
    """

    def __init__(self, doing: str, pieces: int) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task(doing, total=pieces)
        self._timer = Timer(PATIENCE, self._bar.start)
        self._timer.daemon = True
        self._told = ExitStack()

    def __enter__(self) -> "WorkProgress":
        if self._console.is_terminal:
            self._timer.start()
        self._told.enter_context(compiling_told(self._console))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._told.close()
        self._timer.cancel()
        if self._bar.live.is_started:
            self._bar.stop()

    def done(self) -> None:
        """One piece more is done."""
        self._bar.advance(self._task)


@contextmanager
def judging_bar(console: Console) -> Generator[Callable[[int, int], None]]:
    """A bar with the time left, on a terminal only; it goes away when done."""
    with Progress(
        "judging",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("judging", total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update


@contextmanager
def compiling_told(console: Console) -> Generator[None]:
    """Say in one line, when a kernel that is not on disk yet is first compiled, that it is."""
    from numba.core.event import Event, Listener, install_listener

    class Once(Listener):
        told = False

        def on_start(self, event: Event) -> None:
            del event
            if not self.told:
                self.told = True
                console.print(
                    f"segscape: {COMPILING}", style="dim", highlight=False, soft_wrap=True
                )

        def on_end(self, event: Event) -> None:
            del event

    with install_listener("numba:compile", Once()):
        yield
