"""What sharpens scores with the help of the image."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Tensor


@runtime_checkable
class Refiner(Protocol):
    """Turn scores into better ones, as a dense CRF does.

    In tiled prediction a refiner sees one window at a time, before windows are blended, so that its
    memory too is bounded by the tile.
    """

    def __call__(
        self,
        image: UInt8[Tensor, "channel height width"],
        scores: Float[Tensor, "category height width"],
        /,
    ) -> Float[Tensor, "category height width"]:
        """Scores in [0, 1] of the same shape and device."""
        ...
