"""Receptive fields of whole networks."""

from collections.abc import Callable
from math import lcm

from jaxtyping import Float
from torch import Tensor

from segscape.models.semantic_model import SemanticModel
from segscape.ops.receptive_field import ReceptiveField, traced_receptive_field
from segscape.structures import ImageBatch, Size


def logits_of(
    model: SemanticModel,
) -> Callable[[Float[Tensor, "batch channel height width"]], Tensor]:
    """A network as a function of pixels, padding, mirroring and normalisation included."""

    def network(pixels: Float[Tensor, "batch channel height width"]) -> Tensor:
        size = Size(pixels.shape[2], pixels.shape[3])
        return model(ImageBatch(pixels, (size,) * len(pixels))).logits

    return network


def model_receptive_field(model: SemanticModel) -> ReceptiveField | None:
    """The input pixels that logits of a network read, the most of all places.

    Args:
        model: in evaluation mode; it may lie on the device "meta".

    Returns:
        The field along rows, or None for a network that sees the whole image.

    Raises:
        ValueError: when the network is in training mode and so reads the whole batch.
    """
    if model.training:
        raise ValueError("the receptive field of a network in training: call model.eval() first")
    return traced_receptive_field(
        logits_of(model), channels=model.in_channels, period=lcm(*model.strides)
    )
