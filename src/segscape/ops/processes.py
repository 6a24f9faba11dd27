"""Numbers that all processes of a training or an evaluation share."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
import torch.distributed as distributed
from torch import Tensor

Item = TypeVar("Item")
_alone: ContextVar[bool] = ContextVar("_alone", default=False)


@contextmanager
def alone() -> Generator[None]:
    """Inside, this process counts as the only one.

    For work that processes share unequally, such as the loss of each validation image.

    >>> with alone():
    ...     process_count()
    1
    """
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def process_count() -> int:
    """How many processes work together: 1 unless torch.distributed was set up with more."""
    if _alone.get() or not (distributed.is_available() and distributed.is_initialized()):
        return 1
    return distributed.get_world_size()


def sum_over_processes(x: Tensor) -> Tensor:
    """Add up each process's tensor, element by element, so that gradients flow.

    With one process this is the identity and costs nothing. With more, every process must call it
    equally often, in the same order, with tensors of one shape; the backward pass then does so too.

    A loss written as f(S) of sums S over the pixels of the *global* batch then has the same value
    on every process, and its gradient is exactly that of one process that holds the whole batch,
    when gradients are averaged over the processes, as DistributedDataParallel and Fabric do. Proof:
    let process r hold s_r(theta) and all of them L = f(S), S = s_1 + ... + s_W. One process alone
    has dL/dtheta = sum_r f'(S) ds_r/dtheta. Process r's incoming gradient is f'(S); the backward
    pass here adds up the incoming ones and hands W f'(S) on, so that process r finds
    W f'(S) ds_r/dtheta, and the average (1/W) sum_r W f'(S) ds_r/dtheta is dL/dtheta. Where the
    processes go on differently from S, as after batch normalisation, the sum of incoming gradients
    is the derivative of the sum of their losses, and the same average holds.

    Args:
        x: of the same shape and type on every process.

    Returns:
        The sum, on every process the same bits; `x` itself with one process.

    >>> sum_over_processes(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    if process_count() == 1:
        return x
    result: Tensor = _SumOverProcesses.apply(x)  # pyright: ignore[reportAssignmentType] # untyped
    return result


def gather_over_processes(item: Item) -> list[Item]:
    """Give every process the items of all, in the order of their ranks.

    For small things such as the integer state of a metric at the end of an evaluation. With one
    process the list holds `item` itself.

    Args:
        item: anything that travels between processes of one program.

    >>> gather_over_processes("counts")
    ['counts']
    """
    if process_count() == 1:
        return [item]
    items: list[Any] = [None] * process_count()
    distributed.all_gather_object(items, item)
    return items


def concatenate_over_processes(x: Tensor) -> tuple[Tensor, slice]:
    """Give every process the values of all, one process after the other; no gradient flows.

    For what is no sum of its parts, such as a rank among the pixels of the global batch. With more
    than one process, every process must call it equally often, in the same order.

    Args:
        x: one axis, which may differ in length between the processes; of one type.

    Returns:
        The values of all, on every process the same bits, and where this process's own stand.

    >>> concatenate_over_processes(torch.tensor([3.0, 1.0]))
    (tensor([3., 1.]), slice(0, 2, None))
    """
    x = x.detach()
    if process_count() == 1:
        return x, slice(0, len(x))
    lengths = torch.zeros(process_count(), dtype=torch.int64, device=x.device)
    lengths[distributed.get_rank()] = len(x)
    distributed.all_reduce(lengths)
    longest = int(lengths.max())
    mine = x.new_zeros(longest)
    mine[: len(x)] = x
    parts = [torch.empty_like(mine) for _ in range(process_count())]
    distributed.all_gather(parts, mine)
    counts = lengths.tolist()
    start = sum(counts[: distributed.get_rank()])
    kept = [part[:count] for part, count in zip(parts, counts, strict=True)]
    return torch.cat(kept), slice(start, start + len(x))


class _SumOverProcesses(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def setup_context(ctx: object, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: object, *incoming: Tensor) -> Tensor:
        return sum_over_processes(incoming[0])
