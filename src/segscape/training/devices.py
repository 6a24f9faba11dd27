"""Devices and processes, through Lightning Fabric."""

import logging
import os
from collections.abc import Callable
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from segscape.ops.processes import gather_over_processes
from segscape.structures import RecipeError, SegscapeError

T = TypeVar("T")
_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def open_fabric(precision: str = "fp32") -> Fabric:
    """One process, or those that torchrun started.

    Raises:
        RecipeError: for fp16 on a CPU.
    """
    if precision == "fp16" and not torch.cuda.is_available():
        raise RecipeError("training.precision: fp16 needs a CUDA GPU: use auto, bf16 or fp32")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator="auto",
        devices=local if world > 1 else 1,
        num_nodes=world // local if world > 1 else 1,
        strategy=DDPStrategy(broadcast_buffers=False) if world > 1 else "auto",
        precision=_PRECISION[precision],  # pyright: ignore[reportArgumentType] - one of its words
    )
    fabric.launch()
    return fabric


def on_first_process(fabric: Fabric, work: Callable[[], T]) -> T:
    """Do something on process 0 and give all its result, or all its error."""
    outcome: T | SegscapeError | None = None
    if fabric.is_global_zero:
        try:
            outcome = work()
        except SegscapeError as error:
            outcome = error
    outcome = gather_over_processes(outcome)[0]
    if isinstance(outcome, SegscapeError):
        raise outcome
    return outcome  # pyright: ignore[reportReturnType] - process 0 has set it
