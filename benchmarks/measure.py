"""Compare two ways to the same result: times in turn, and peak memory in a process of its own."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")

# On Linux ru_maxrss starts at what the parent held, since it outlives exec; VmHWM does not.
_PEAK = """
import re, resource, sys
if sys.platform == "linux":
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak)
"""


@dataclass(frozen=True)
class Comparison:
    """Times of ours and of the peer, measured in turn.

    Args:
        name: what was measured.
        ours: median seconds of ours.
        peer: median seconds of the peer.
        ratio: median over the rounds of peer / ours: above 1, ours is faster.
        ratio_low: lower quartile of the rounds' ratios.
        ratio_high: upper quartile.
        rounds: how often both ran.
        equal: whether the results were checked to be equal.
    """

    name: str
    ours: float
    peer: float
    ratio: float
    ratio_low: float
    ratio_high: float
    rounds: int
    equal: bool

    def row(self) -> str:
        """One line of the table."""
        return (
            f"{self.name:<52} ours {_readable(self.ours)}  peer {_readable(self.peer)}  "
            f"{self.ratio:6.2f}x ({self.ratio_low:.2f}-{self.ratio_high:.2f})  "
            f"{'equal' if self.equal else 'not compared'}"
        )

    def to_json(self) -> dict[str, Any]:
        """The numbers as a dict that `json` can write."""
        return asdict(self)


def compare(
    ours: Callable[[], Result],
    peer: Callable[[], Result],
    *,
    name: str = "",
    rounds: int = 9,
    check: Callable[[Result, Result], bool] | None = None,
) -> Comparison:
    """Run both in turn and print one line.

    The machine's speed drifts; two runs side by side share the drift, so the ratio is taken within
    each round. Who goes first changes from round to round. One round before the first is not
    counted: it fills caches and compiles.

    Args:
        ours: does the work and returns the result.
        peer: does the same work.
        name: what is measured.
        rounds: 3 or more.
        check: whether two results are equal, called once; None where they cannot be, as for
            networks with other random weights.

    Raises:
        ValueError: for fewer than three rounds, or when the results differ.
    """
    if rounds < 3:
        raise ValueError(f"compare got rounds={rounds}: quartiles need at least 3")
    results = ours(), peer()
    if check is not None and not check(*results):
        raise ValueError(f"{name}: ours and the peer differ: {results[0]!r} and {results[1]!r}")
    del results
    times_of_ours: list[float] = []
    times_of_peer: list[float] = []
    for turn in range(rounds):
        pair = [(ours, times_of_ours), (peer, times_of_peer)]
        for function, times in pair if turn % 2 == 0 else reversed(pair):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(times_of_ours, times_of_peer, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    comparison = Comparison(
        name=name,
        ours=statistics.median(times_of_ours),
        peer=statistics.median(times_of_peer),
        ratio=middle,
        ratio_low=low,
        ratio_high=high,
        rounds=rounds,
        equal=check is not None,
    )
    print(comparison.row(), flush=True)
    return comparison


def peak_memory(code: str, *, timeout: float = 600) -> int:
    """The most memory, in bytes, that a fresh Python process held while it ran some code.

    Args:
        code: statements; what they import counts, too, so compare with the peak of the imports.
        timeout: seconds until it is stopped.

    Raises:
        RuntimeError: when the code fails; its message is the last line it wrote.
    """
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{_PEAK}"],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise RuntimeError(f"the measured code failed: {last}")
    return int(done.stdout.split()[-1])


def _readable(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:8.2f} {unit:<2}"
    return f"{seconds / 1e-6:8.2f} µs"
