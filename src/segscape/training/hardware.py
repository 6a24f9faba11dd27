"""Which precision and memory layout this machine is good at: measured, not assumed.

The choice is part of the run (saved in its recipe.yaml before the first step), so that a resumed
run computes as it began.
"""

from dataclasses import dataclass
from itertools import product
from time import thread_time
from typing import Literal

import torch
from torch import Tensor, nn

from segscape.ops.processor import has_bf16_units, one_thread

Precision = Literal["fp32", "bf16", "fp16"]
# A lower precision must earn its rounding errors.
_WORTHWHILE = 1.2
_ROUNDS = 5


@dataclass(frozen=True)
class HardwareChoice:
    """What to train with on this machine.

    Args:
        precision: of the forward and backward pass; weights and sums stay in fp32.
        channels_last: memory layout of images and kernels.
        seconds: what was measured, by `precision/layout`; empty where it was known.
    """

    precision: Precision
    channels_last: bool
    seconds: dict[str, float]


def choose(device: torch.device) -> HardwareChoice:
    """Time a convolution block, forward and backward, in each precision and layout.

    On a GPU precision follows the hardware: bf16 where it has it, fp16 with loss scaling on older
    ones; there both are tensor-core formats and no probe is needed. Takes about half a second on a
    CPU.
    """
    if device.type == "cuda":
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        halves = torch.cuda.get_device_capability(device)[0] >= 7
        return HardwareChoice("bf16" if bf16 else "fp16" if halves else "fp32", True, {})
    if device.type != "cpu":
        return HardwareChoice("fp32", False, {})
    candidates: list[Precision] = ["fp32", "bf16"] if has_bf16_units() else ["fp32"]
    seconds = {pair: _time_block(*pair) for pair in product(candidates, (False, True))}
    best = {
        precision: min((seconds[precision, layout], not layout) for layout in (False, True))
        for precision in candidates
    }
    precision: Precision = "fp32"
    if "bf16" in best and best["bf16"][0] * _WORTHWHILE < best["fp32"][0]:
        precision = "bf16"
    named = {
        f"{name}/{'channels_last' if layout else 'contiguous'}": time
        for (name, layout), time in seconds.items()
    }
    return HardwareChoice(precision, not best[precision][1], named)


def _time_block(precision: Precision, channels_last: bool) -> float:
    """Seconds of the fastest of a few rounds.

    Of processor time on one thread: other programs, and threads that wait for each other because of
    them, would else decide on a busy machine.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    block = nn.Sequential(
        nn.Conv2d(64, 64, 3, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1, bias=False),
    )
    block = block.to(memory_format=layout)
    images = torch.zeros(1, 64, 48, 64).to(memory_format=layout).requires_grad_()
    with one_thread():
        return min(_round(block, images, precision) for _ in range(_ROUNDS))


def _round(block: nn.Module, images: Tensor, precision: Precision) -> float:
    began = thread_time()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        loss = block(images).float().mean()
    loss.backward()
    return thread_time() - began
