"""Loops in several threads: kernels that let go of Python's lock, each with a part of the range."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import numba

Part = TypeVar("Part")

# Parts per thread, so that one that is held up by other programs leaves its share to the others.
_PARTS = 4


class Workers:
    """Threads for the kernels of one piece of work; none are started where there is one processor.

    What the parts are does not change what they compute: each writes its own rows.

    Args:
        threads: how many, 1 or more; None for as many as numba may use (NUMBA_NUM_THREADS).

    >>> with Workers() as workers:
    ...     found = workers.run(lambda start, stop: stop - start, 10)
    >>> sum(found)
    10
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = numba.get_num_threads() if threads is None else threads
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def run(self, task: Callable[[int, int], Part], length: int) -> list[Part]:
        """Call `task(start, stop)` for parts that cover 0..length, and wait for all."""
        parts = 1 if self._pool is None else max(min(_PARTS * self.threads, length), 1)
        bounds = [length * part // parts for part in range(parts + 1)]
        return self.each(
            lambda part: task(bounds[part], bounds[part + 1]),
            parts,
        )

    def each(self, task: Callable[[int], Part], count: int) -> list[Part]:
        """Call `task(0)` .. `task(count - 1)`, and wait for all."""
        if self._pool is None:
            return [task(index) for index in range(count)]
        return list(self._pool.map(task, range(count)))
