"""Functions of raw output and target that return a scalar.

Every loss takes `(logits, labels, *, ignore_id, pixel_weights, <options>)`, is the loss of the
global batch whatever the number of processes, gives 0 with gradient 0 when all is ignored, and
never writes to its inputs.
"""

from collections.abc import Callable

from torch import Tensor

from segscape.losses.cross_entropy import cross_entropy
from segscape.losses.dice import soft_dice

LossFunction = Callable[..., Tensor]

LOSSES: dict[str, LossFunction] = {
    "cross_entropy": cross_entropy,
    "dice": soft_dice,
}
