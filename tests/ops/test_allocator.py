"""Freed memory is kept, so a step's large blocks cost no new pages."""

import platform
import resource

import pytest
import torch

from segscape.ops.allocator import keep_freed_memory


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
