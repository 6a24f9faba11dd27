"""Height and width, in this order everywhere."""

from typing import NamedTuple


class Size(NamedTuple):
    """A size in pixels: rows first.

    >>> Size(360, 480).width
    480
    """

    height: int
    width: int
