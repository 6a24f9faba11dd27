"""Types of the options builders take; `build_model` checks values against them."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Rates = Annotated[tuple[Count, ...], Field(min_length=1)]
PerChannel = Sequence[float] | None
