"""The processor: its units for bf16, torch's threads on it."""

from collections.abc import Generator
from contextlib import contextmanager

import torch


def has_bf16_units() -> bool:
    """Whether oneDNN would compute in bf16 at all; elsewhere torch emulates it slowly."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - the one question


@contextmanager
def one_thread() -> Generator[None]:
    """Inside, torch computes on the calling thread alone."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
