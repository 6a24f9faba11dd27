"""In which precision prediction runs: measured on this machine, not assumed.

bf16 halves the memory traffic everywhere, but only units made for it (AMX and AVX512-BF16 on CPUs,
tensor cores on GPUs) compute faster in it; elsewhere it is emulated and several times slower. Its
eight bits of mantissa move a label only where two categories are nearly tied.
"""

from functools import cache
from time import perf_counter
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import nn

from segscape.ops.processor import has_bf16_units, one_thread
from segscape.structures import StructureError

Precision = Literal["auto", "fp32", "bf16"]
# How much faster a probe must be before rounding is accepted; units made for it reach 2 and more,
# emulation stays below 1, so the answer does not change from one start to the next.
WORTHWHILE = 1.3
_LEAST_ROUNDS, _MOST_ROUNDS = 5, 40


def check_precision(name: str) -> Precision:
    """The precision of a name.

    Raises:
        StructureError: when there is none of this name.
    """
    known: dict[str, Precision] = {known: known for known in get_args(Precision)}
    if name not in known:
        raise StructureError(f"precision '{name}': choose one of {', '.join(known)}")
    return known[name]


def resolve_precision(wanted: Precision, device: torch.device) -> Literal["fp32", "bf16"]:
    """Choose between fp32 and bf16.

    Args:
        wanted: "fp32", "bf16", or "auto" for what is faster on the device.
        device: where prediction runs.
    """
    if wanted == "auto":
        return "bf16" if bf16_is_faster(device) else "fp32"
    return wanted


@cache
def bf16_is_faster(device: torch.device) -> bool:
    """Time a convolution in both precisions, once per process and device (0.05 s on a CPU).

    GPUs are not timed: those whose units know bf16 are all faster in it.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and has_bf16_units() and _measure()


def _measure() -> bool:
    """Compare the fastest rounds of each, in turn, until bf16 has proved itself or has had its go.

    On one thread: threads wait for each other, and on a busy machine that is all one would time.
    """
    fastest = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    with one_thread():
        for number in range(_MOST_ROUNDS):
            for kind, seconds in fastest.items():
                fastest[kind] = min(seconds, _round(kind))
            proved = fastest[torch.bfloat16] * WORTHWHILE < fastest[torch.float32]
            if proved and number >= _LEAST_ROUNDS:
                return True
    return False


def _round(kind: torch.dtype) -> float:
    images = torch.zeros(1, 64, 48, 64, dtype=kind).to(memory_format=torch.channels_last)
    kernels = torch.zeros(64, 64, 3, 3, dtype=kind).to(memory_format=torch.channels_last)
    began = perf_counter()
    F.conv2d(images, kernels, padding=1)
    return perf_counter() - began


def store_kernels(model: nn.Module, kind: torch.dtype) -> None:
    """Store the weights of convolutions and linear layers in another precision, in place.

    Autocast would otherwise convert them again at each call. Everything else, normalisation
    included, keeps its precision.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.weight.data = module.weight.data.to(kind)
            if module.bias is not None:
                module.bias.data = module.bias.data.to(kind)
