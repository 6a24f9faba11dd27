"""The moving average of a model's weights."""

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class WeightAverage(Generic[M]):
    """A second model whose weights and floating buffers follow the first by a moving average.

    average <- d * average + (1 - d) * weight with d = min(decay, (1 + step) / (10 + step)): early
    on, when the weights move far, the average keeps close (Polyak and Juditsky 1992, doi:
    10.1137/0330046, for averaging; the warm-up is the usual one).

    Args:
        model: the model that is trained.
        decay: in [0, 1).
    """

    def __init__(self, model: M, decay: float) -> None:
        self.model = deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: M, step: int) -> None:
        """Follow the weights after `step` steps are done."""
        decay = min(self.decay, (1 + step) / (10 + step))
        own, others = self.model.state_dict(), model.state_dict()
        for average, value in zip(own.values(), others.values(), strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)
