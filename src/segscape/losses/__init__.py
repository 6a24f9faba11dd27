"""Functions of raw output and target that return a scalar.

Every loss takes `(logits, labels, *, ignore_id, pixel_weights, <options>)`, is the loss of the
global batch whatever the number of processes, gives 0 with gradient 0 when all is ignored, and
never writes to its inputs.
"""

from collections.abc import Callable

from torch import Tensor

from segscape.losses.boundary import boundary
from segscape.losses.cross_entropy import binary_cross_entropy, cross_entropy
from segscape.losses.dice import binary_dice, soft_dice
from segscape.losses.focal import binary_focal, focal
from segscape.losses.jaccard import binary_jaccard, jaccard
from segscape.losses.lovasz import lovasz_hinge, lovasz_softmax
from segscape.losses.ohem import ohem_cross_entropy
from segscape.losses.tversky import tversky

LossFunction = Callable[..., Tensor]

# One logit per category: what recipes choose from.
LOSSES: dict[str, LossFunction] = {
    "boundary": boundary,
    "cross_entropy": cross_entropy,
    "dice": soft_dice,
    "focal": focal,
    "jaccard": jaccard,
    "lovasz_softmax": lovasz_softmax,
    "ohem_cross_entropy": ohem_cross_entropy,
    "tversky": tversky,
}

# One logit for the foreground, label 1, against label 0: functions to call from Python, for masks
# of objects and networks with a single output. Recipes do not choose from them: every network of
# MODELS scores each category, so both of two, and the losses above are for that. A pair of logits
# is a single one by `logits[:, 1:] - logits[:, :1]`.
BINARY_LOSSES: dict[str, LossFunction] = {
    "binary_cross_entropy": binary_cross_entropy,
    "binary_dice": binary_dice,
    "binary_focal": binary_focal,
    "binary_jaccard": binary_jaccard,
    "lovasz_hinge": lovasz_hinge,
}
