"""A model made fast for prediction: the same function in less time."""

from copy import deepcopy
from typing import TypeVar

import torch

from segscape.layers.fuse import fuse_batch_norms
from segscape.models.semantic_model import SemanticModel
from segscape.structures import ImageBatch, Size

SomeModel = TypeVar("SomeModel", bound=SemanticModel)


def has_bf16_units(device: torch.device | str = "cpu") -> bool:
    """Whether products of bfloat16 numbers are faster there than those of float32.

    On a CPU that takes AMX or AVX-512 BF16; emulated bfloat16 is slower than float32.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.device(device).type != "cpu":
        return False
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def prediction_form(model: SomeModel, *, precision: torch.dtype | None = None) -> SomeModel:
    """Copy a model into its fastest form for prediction; it cannot be trained or saved.

    Batch normalisations are folded into convolutions and weights stored channel last.

    Args:
        model: any semantic model; it is not changed.
        precision: of weights and activations; None takes bfloat16 where the model's device has
            units for it, else float32.
    """
    device = model.mean.device
    if precision is None:
        precision = torch.bfloat16 if has_bf16_units(device) else torch.float32
    fast = deepcopy(model).eval().requires_grad_(requires_grad=False)
    # Two cells of the coarsest map a side are enough to see which layer follows which.
    side = 2 * fast.pad_to
    example = ImageBatch(
        torch.zeros(1, fast.in_channels, side, side, device=device), (Size(side, side),)
    )
    fuse_batch_norms(fast, lambda: fast(example))
    mean, std = fast.mean, fast.std
    fast = fast.to(precision, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    fast.mean, fast.std = mean, std  # images are normalised before they are rounded
    fast.precision = precision
    return fast
