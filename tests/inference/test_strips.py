import itertools
from pathlib import Path

import pytest
import torch

from segscape.inference.strips import Strips
from segscape.structures import OutputError


@pytest.mark.parametrize("limit", [0, 700, 10**6])
def test_what_is_put_is_taken_row_after_row(limit):
    rows = [[torch.randn(3, 4, 5 + j) for j in range(6)] for _ in range(3)]
    with Strips(limit) as strips:
        for j, strip in enumerate(rows[0]):
            strips.put(j, strip)
        for before, row in itertools.pairwise(rows):
            for j, strip in enumerate(row):
                assert torch.equal(strips.take(j), before[j])
                strips.put(j, strip)
        assert all(torch.equal(strips.take(j), strip) for j, strip in enumerate(rows[-1]))


def test_a_strip_does_not_keep_its_window_in_memory():
    window = torch.zeros(2, 100, 100)
    with Strips() as strips:
        strips.put(0, window[:, 96:])
        window.fill_(1)
        strip = strips.take(0)
    assert float(strip.sum()) == 0
    assert strip.untyped_storage().nbytes() == strip.nbytes


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line(monkeypatch):
    full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - closed by Strips
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)
    with Strips(0) as strips, pytest.raises(OutputError, match="TMPDIR"):
        strips.put(0, torch.zeros(1, 2, 3))
