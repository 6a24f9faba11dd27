"""How the scores of two neighbouring windows are weighed where both see a pixel."""

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class BlendingWindow(Protocol):
    """The weights of a window over the pixels it shares with the one before it, outermost first.

    The window before gets one minus these, so the weights of every pixel add up to one whatever
    the shape, and no sum of weights has to be kept or divided by.
    """

    def __call__(self, overlap: int, /) -> Float[Tensor, " overlap"]:
        """Weights in [0, 1] of `overlap` pixels."""
        ...


def hann(overlap: int) -> Float[Tensor, " overlap"]:
    """Rise as sin^2: smooth at both ends, positive everywhere, symmetric.

    >>> [round(value, 3) for value in hann(4).tolist()]
    [0.038, 0.309, 0.691, 0.962]
    """
    positions = (torch.arange(overlap, dtype=torch.float64) + 0.5) / max(overlap, 1)
    return torch.sin(positions * (math.pi / 2)).square().float()


def keep_center(overlap: int) -> Float[Tensor, " overlap"]:
    """Drop the outer half of the shared pixels and keep the inner half: no blending.

    A network whose output at a pixel depends on pixels at most `overlap // 2` away then gives
    exactly what it gives on the whole image.

    >>> keep_center(4).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    return (torch.arange(overlap) >= overlap / 2).float()
