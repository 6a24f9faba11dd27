"""Options that more than one method refuses in the same words."""

from typing import Any, get_args

from segscape.structures import MethodError


def refuse_other(method: str, option: str, value: object, literal: Any) -> None:  # noqa: ANN401
    """Refuse what is none of an option's values.

    Args:
        method: its name, for the error.
        option: its name.
        value: what was given.
        literal: the `Literal` of what may be given.

    Raises:
        MethodError: when it is none of these.
    """
    choices = get_args(literal)
    if value not in choices:
        raise MethodError(
            f"{method} got {option}={value!r}: expected "
            + " or ".join(f'"{choice}"' for choice in choices)
        )


def refuse_seed(method: str, seed: int) -> None:
    """Refuse a seed that random generators do not take.

    Raises:
        MethodError: when it is below 0 or 2^32 or more.
    """
    if not 0 <= seed < 2**32:
        raise MethodError(f"{method} got seed={seed}, expected 0 to {2**32 - 1}")
