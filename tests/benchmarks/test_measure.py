import json
import time

import pytest
from benchmarks.measure import compare, peak_memory


def test_ratio_says_how_much_faster_ours_is(capsys):
    found = compare(
        lambda: time.sleep(0.005), lambda: time.sleep(0.02), name="sleep", rounds=3,
        check=lambda a, b: a is b,
    )  # fmt: skip
    # Sleeping lasts at least as long as asked; on a busy machine both last longer.
    assert 0.005 <= found.ours < found.peer
    assert found.ratio_low <= found.ratio <= found.ratio_high
    assert found.ratio > 1
    assert found.equal
    assert "sleep" in capsys.readouterr().out
    assert json.loads(json.dumps(found.to_json()))["rounds"] == 3


def test_both_run_equally_often_and_take_turns_to_go_first():
    calls = []
    compare(lambda: calls.append("ours"), lambda: calls.append("peer"), rounds=4)
    assert calls == ["ours", "peer", *(["ours", "peer", "peer", "ours"] * 2)]


def test_different_results_are_an_error():
    with pytest.raises(ValueError, match="sum: ours and the peer differ: 1 and 2"):
        compare(lambda: 1, lambda: 2, name="sum", check=lambda a, b: a == b)
    with pytest.raises(ValueError, match="rounds=2"):
        compare(lambda: 1, lambda: 1, rounds=2)


def test_peak_memory_counts_what_was_held_for_a_moment():
    empty = peak_memory("pass")
    assert 10**6 < empty < 10**8
    grown = peak_memory("x = b'1' * 200_000_000; del x")
    assert 1.9e8 < grown - empty < 2.5e8


def test_failing_code_says_why():
    with pytest.raises(RuntimeError, match="the measured code failed: ValueError: no"):
        peak_memory("raise ValueError('no')")
