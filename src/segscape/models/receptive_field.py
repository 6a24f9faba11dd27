"""Receptive fields of whole networks.

Tracing the slowest takes half a minute, so what all find at their default options is kept in
`receptive_fields.json` beside this file, which `make fields` writes and the tests hold true.
"""

import json
import sys
from collections.abc import Callable, Mapping
from math import lcm
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from segscape.models import MODELS, build_model
from segscape.models.semantic_model import SemanticModel
from segscape.ops.receptive_field import ReceptiveField, traced_receptive_field
from segscape.structures import ImageBatch, Size, Taxonomy

_KEPT = Path(__file__).with_name("receptive_fields.json")


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


def default_field_sides() -> Mapping[str, int | None]:
    """The side in pixels of each network's field at default options, None for the whole image."""
    return json.loads(_KEPT.read_text("utf-8"))


def trace_default(name: str) -> int | None:
    """Find the side of a network's field at default options.

    >>> trace_default("sliding_window")
    95
    """
    with torch.device("meta"):
        model: Any = build_model(name, Taxonomy.from_names(["one", "two"]), {})
    field = model_receptive_field(model.eval())
    return None if field is None else field.size


if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: trace_default(name) for name in MODELS}, indent=2) + "\n")
