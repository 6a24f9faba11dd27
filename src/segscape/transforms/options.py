"""Options as people write them in recipes: a wrong one is refused in one line."""

import math
from collections.abc import Sequence

from segscape.structures import StructureError


def whole_number(transform: str, option: str, value: object, low: int = 1) -> int:
    """A whole number of `low` or more.

    Raises:
        StructureError: when it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise StructureError(
            f"transform {transform}: {option} is {value!r}, expected a whole number >= {low}"
        )
    return value


def number(
    transform: str,
    option: str,
    value: object,
    low: float = 0.0,
    high: float = math.inf,
    *,
    above: bool = False,
) -> float:
    """A finite number from `low` to `high`, or above `low` when `above` says so.

    Raises:
        StructureError: when it is something else.
    """
    given = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        given = float(value)
    if not math.isfinite(given) or not (low < given if above else low <= given) or given > high:
        limits = f"{'>' if above else '>='} {low:g}" + (
            "" if high == math.inf else f", <= {high:g}"
        )
        raise StructureError(
            f"transform {transform}: {option} is {value!r}, expected a number {limits}"
        )
    return given


def probability(transform: str, option: str, value: object) -> float:
    """A number from 0 to 1.

    Raises:
        StructureError: when it is something else.
    """
    return number(transform, option, value, 0.0, 1.0)


def interval(
    transform: str,
    option: str,
    value: object,
    low: float = 0.0,
    high: float = math.inf,
    *,
    above: bool = False,
) -> tuple[float, float]:
    """Two numbers, the smaller first, both as `number` wants them.

    Raises:
        StructureError: when it is something else.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise StructureError(
            f"transform {transform}: {option} is {value!r}, expected two numbers [low, high]"
        )
    first, last = (
        number(transform, option, end, low, high, above=above) for end in (value[0], value[1])
    )
    if first > last:
        raise StructureError(
            f"transform {transform}: {option} is {value!r}, expected the smaller number first"
        )
    return first, last


def one_of(transform: str, option: str, value: object, choices: Sequence[str]) -> None:
    """One of some words.

    Raises:
        StructureError: when it is something else.
    """
    if value not in choices:
        raise StructureError(
            f"transform {transform}: {option} is {value!r}, expected {' or '.join(choices)}"
        )


def yes_or_no(transform: str, option: str, value: object) -> None:
    """True or False.

    Raises:
        StructureError: when it is something else.
    """
    if not isinstance(value, bool):
        raise StructureError(
            f"transform {transform}: {option} is {value!r}, expected true or false"
        )
