"""What is done to a model once, before it predicts."""

import copy
import hashlib
from collections.abc import Iterator
from itertools import chain
from typing import Literal

import torch
from torch import nn

from segscape.inference.fusion import fuse_batch_norms
from segscape.inference.precision import store_kernels
from segscape.models.semantic_model import SemanticModel
from segscape.ops.allocator import return_freed_memory
from segscape.structures import ImageBatch, Size, StructureError

# The coarsest stride of common encoders.
STRIDE = 32


def prepared(
    model: SemanticModel, device: torch.device, precision: Literal["fp32", "bf16"]
) -> SemanticModel:
    """A copy in evaluation mode: normalisations folded, kernels in their precision and layout."""
    given = {tensor.data_ptr() for tensor in _tensors(model)}
    ready = prepare(_sharing_copy(model), device, precision)
    for tensor in _tensors(ready):
        if tensor.data_ptr() in given:
            tensor.data = tensor.data.clone()
    return ready


def prepare(
    model: SemanticModel, device: torch.device, precision: Literal["fp32", "bf16"]
) -> SemanticModel:
    """As `prepared`, but of the model itself, whose old weights are let go one by one."""
    model = model.eval().requires_grad_(False).to(device)
    side = 2 * STRIDE
    generator = torch.Generator().manual_seed(0)
    example = torch.rand(1, model.in_channels, side, side, generator=generator).to(device)
    batch = ImageBatch(example, (Size(side, side),))
    fuse_batch_norms(model, lambda: model(batch).logits)
    if precision == "bf16":
        store_kernels(model, torch.bfloat16)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(memory_format=torch.channels_last)
    return_freed_memory()
    return model


def _sharing_copy(model: SemanticModel) -> SemanticModel:
    """A copy whose weights and statistics lie in the same memory: most will be replaced."""
    shared: dict[int, object] = {}
    for tensor in _tensors(model):
        alias = tensor.detach()
        shared[id(tensor)] = nn.Parameter(alias) if isinstance(tensor, nn.Parameter) else alias
    return copy.deepcopy(model, shared)


def _tensors(model: SemanticModel) -> Iterator[torch.Tensor]:
    return chain(model.parameters(), model.buffers())


def resolve_device(wanted: str | torch.device) -> torch.device:
    """The device of a name; "auto" is a GPU where there is one.

    Raises:
        StructureError: when this machine has no such device.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["auto", "cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise StructureError(
            f"device '{wanted}' cannot be used on this machine: choose one of {', '.join(there)}"
        ) from error
    return device


def fingerprint(model: SemanticModel) -> str:
    """A name of all that a model knows: its weights, statistics and categories."""
    digest = hashlib.sha256(repr((type(model).__name__, model.taxonomy)).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
