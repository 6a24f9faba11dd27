"""Learning-rate schedules: pure functions of the step.

Each is a frozen dataclass that maps (steps done, steps in all) to the factor in [0, 1] by which the
recipe's learning rate is multiplied. No state: a resumed run asks for its step and goes on.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

from pydantic import Field

Share = Annotated[float, Field(ge=0, le=1)]
Warmup = Annotated[float, Field(ge=0, lt=1)]


@runtime_checkable
class Schedule(Protocol):
    """Steps done and steps in all -> factor of the learning rate."""

    def __call__(self, step: int, steps: int) -> float:
        """The factor for the step after `step` steps are done."""
        ...


def _warm(step: int, steps: int, warmup: float) -> float | None:
    """Linear rise over the first share of the steps, None once it is over."""
    rising = round(warmup * steps)
    return (step + 1) / rising if step < rising else None


def _progress(step: int, steps: int, warmup: float) -> float:
    """How far in [0, 1] the schedule after the warm-up is."""
    rising = round(warmup * steps)
    return (step - rising) / max(1, steps - rising)


@dataclass(frozen=True)
class Constant:
    """The learning rate as it is.

    Args:
        warmup: share of the steps, in [0, 1), with a linear rise.
    """

    warmup: Warmup = 0.0

    def __call__(self, step: int, steps: int) -> float:
        """The factor after `step` of `steps` steps."""
        warm = _warm(step, steps, self.warmup)
        return 1.0 if warm is None else warm


@dataclass(frozen=True)
class Poly:
    """(1 - t)^power, as in ParseNet and DeepLab (Chen et al. 2017, arXiv:1606.00915, sec. 4.1).

    Args:
        power: exponent, 0 or more, 0.9 in the papers.
        warmup: share of the steps, in [0, 1), with a linear rise.
    """

    power: Annotated[float, Field(ge=0)] = 0.9
    warmup: Warmup = 0.0

    def __call__(self, step: int, steps: int) -> float:
        """The factor after `step` of `steps` steps."""
        warm = _warm(step, steps, self.warmup)
        return (1 - _progress(step, steps, self.warmup)) ** self.power if warm is None else warm


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 to a floor (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5).

    Args:
        floor: the factor at the end, in [0, 1].
        warmup: share of the steps, in [0, 1), with a linear rise.
    """

    floor: Share = 0.0
    warmup: Warmup = 0.0

    def __call__(self, step: int, steps: int) -> float:
        """The factor after `step` of `steps` steps."""
        warm = _warm(step, steps, self.warmup)
        if warm is not None:
            return warm
        half = 0.5 * (1 + math.cos(math.pi * _progress(step, steps, self.warmup)))
        return self.floor + (1 - self.floor) * half


@dataclass(frozen=True)
class OneCycle:
    """Up and down again by half cosines (Smith and Topin 2018, arXiv:1708.07120).

    Args:
        warmup: share of the steps, in [0, 1), that rise.
        start: the first factor, in [0, 1].
        floor: the last factor, in [0, 1].
    """

    warmup: Warmup = 0.3
    start: Share = 0.04
    floor: Share = 4e-6

    def __call__(self, step: int, steps: int) -> float:
        """The factor after `step` of `steps` steps."""
        peak, last = self.warmup * steps - 1, steps - 1
        if step <= peak:
            return _between(self.start, 1.0, step / peak if peak > 0 else 1.0)
        return _between(1.0, self.floor, (step - peak) / (last - peak) if last > peak else 1.0)


def _between(first: float, second: float, share: float) -> float:
    """From `first` to `second` along half a cosine."""
    return second + (first - second) / 2 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class Step:
    """Multiply by `factor` at each milestone.

    Args:
        milestones: shares of all steps, in [0, 1].
        factor: what each milestone multiplies by, in [0, 1].
        warmup: share of the steps, in [0, 1), with a linear rise.
    """

    milestones: tuple[Share, ...] = (0.6, 0.8)
    factor: Share = 0.1
    warmup: Warmup = 0.0

    def __call__(self, step: int, steps: int) -> float:
        """The factor after `step` of `steps` steps."""
        warm = _warm(step, steps, self.warmup)
        if warm is not None:
            return warm
        return self.factor ** sum(step >= share * steps for share in self.milestones)


SCHEDULES: dict[str, type[Schedule]] = {
    "poly": Poly,
    "cosine": Cosine,
    "one_cycle": OneCycle,
    "step": Step,
    "constant": Constant,
}
