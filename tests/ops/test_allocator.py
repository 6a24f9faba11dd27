"""Freed memory is kept, so a step's large blocks cost no new pages."""

import platform
import resource
from pathlib import Path

import pytest
import torch

from segscape.ops.allocator import keep_freed_memory, return_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")
def test_large_blocks_come_back_without_new_pages():
    assert keep_freed_memory()
    block = 64 * 2**20
    for _ in range(16):  # the heap grows until it fits
        torch.ones(block, dtype=torch.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.ones(block, dtype=torch.uint8)
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert pages < block // resource.getpagesize()  # eight times as many without


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")
def test_freed_memory_goes_back():
    def held() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    keep_freed_memory()
    block = 64 * 2**20
    torch.ones(block, dtype=torch.uint8)
    before = held()
    assert return_freed_memory()
    assert held() < before - block // 2
