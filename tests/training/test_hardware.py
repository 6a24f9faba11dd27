"""The choice of precision and layout follows what was measured."""

from itertools import product

import pytest
import torch

from segscape.training import hardware
from segscape.training.hardware import choose


# Seconds of fp32 and bf16, each contiguous and channels-last.
@pytest.mark.parametrize(
    ("seconds", "precision", "channels_last"),
    [
        ((9, 8, 9, 3), "bf16", True),
        ((9, 8, 3, 4), "bf16", False),
        # Faster, but not by enough to pay for the rounding.
        ((9, 8, 9, 7), "fp32", True),
        ((5, 8, 40, 50), "fp32", False),
    ],
)
def test_the_fastest_wins(monkeypatch, seconds, precision, channels_last):
    pairs = product(("fp32", "bf16"), (False, True))
    times = dict(zip(pairs, seconds, strict=True))
    monkeypatch.setattr(hardware, "has_bf16_units", lambda: True)
    monkeypatch.setattr(hardware, "_time_block", lambda *pair: float(times[pair]))
    choice = choose(torch.device("cpu"))
    assert (choice.precision, choice.channels_last) == (precision, channels_last)
    assert choice.seconds["fp32/channels_last"] == times["fp32", True]


def test_emulated_bf16_is_not_even_tried(monkeypatch):
    tried = []

    def timed(precision: str, channels_last: bool) -> float:
        tried.append(precision)
        return 1.0

    monkeypatch.setattr(hardware, "has_bf16_units", lambda: False)
    monkeypatch.setattr(hardware, "_time_block", timed)
    assert choose(torch.device("cpu")).precision == "fp32"
    assert set(tried) == {"fp32"}


def test_this_machine_is_measured():
    choice = choose(torch.device("cpu"))
    assert all(0 < seconds < 60 for seconds in choice.seconds.values())
    assert len(choice.seconds) in (2, 4)
