"""Ctrl-C and SIGTERM: finish the step, save, leave."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):  # noqa: N818 - not an error: what was asked for happened
    """Training was asked to stop and has saved its state.

    Args:
        number: the signal's number; the process should exit with 128 + number.
        step: steps done and saved.
    """

    def __init__(self, number: int, step: int) -> None:
        super().__init__(f"{signal.Signals(number).name} after step {step}")
        self.number = number
        self.step = step

    @property
    def exit_code(self) -> int:
        """What a shell expects: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number


class Interruption:
    """Remembers the first signal; a second one acts at once."""

    def __init__(self) -> None:
        self.number = 0

    def remember(self, number: int, _: FrameType | None) -> None:
        """Handle a signal."""
        self.number = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def remembered_signals() -> Generator[Interruption]:
    """Remember signals inside the block; outside the main thread none are caught."""
    interruption = Interruption()
    before: dict[int, object] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, interruption.remember)
    except ValueError:  # not the main thread: whoever runs us decides
        before = {}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType] - as it was given
