"""Mirroring beyond the border, as often as it takes."""

import torch
from jaxtyping import Int64
from torch import Tensor


def mirrored_positions(
    length: int, start: int, stop: int, device: torch.device | str = "cpu"
) -> Int64[Tensor, "position"]:
    """Positions inside a line of pixels that a mirror at both ends shows at start..stop-1.

    The pixel at the border is not repeated; a line shorter than the margin is mirrored to and fro.

    Args:
        length: pixels in the line, 1 or more.
        start: first place, negative before the line.
        stop: one past the last place.
        device: where the positions are wanted.

    >>> mirrored_positions(3, -4, 6).tolist()
    [0, 1, 2, 1, 0, 1, 2, 1, 0, 1]
    >>> mirrored_positions(1, -2, 2).tolist()
    [0, 0, 0, 0]
    """
    places = torch.arange(start, stop, device=device)
    if length == 1:
        return torch.zeros_like(places)
    period = 2 * (length - 1)
    wrapped = places.remainder(period)
    return torch.minimum(wrapped, period - wrapped)
