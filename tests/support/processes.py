"""Run a function in several processes that know each other over gloo."""

import atexit
import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed


def run_in_processes(function: Callable[..., Any], *arguments: Any, world: int = 2) -> list[Any]:
    """Call `function(rank, world, *arguments)` in each process; the results by rank.

    The function must be at the top of a module. The processes are started once per test session.
    """
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{Path(folder) / 'meeting'}"
        pool = _processes(world)
        calls = [
            pool.submit(_joined, function, rank, world, meeting, arguments) for rank in range(world)
        ]
        return [call.result(timeout=120) for call in calls]


@cache
def _processes(world: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork of a process whose torch threads ran may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        world, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)
    )
    atexit.register(pool.shutdown, wait=False, cancel_futures=True)
    return pool


def _joined(
    function: Callable[..., Any], rank: int, world: int, meeting: str, arguments: tuple[Any, ...]
) -> Any:
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    try:
        return function(rank, world, *arguments)
    finally:
        distributed.destroy_process_group()
