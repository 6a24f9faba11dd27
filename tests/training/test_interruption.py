"""Stopped at any instant and resumed, a run comes to the same bits."""

import contextlib
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from tests.support.training_runs import (
    assert_same_outcome,
    start_training,
    tiny_recipe,
    train_here,
)

from segscape.training.journal import read_journal


def _kill_and_resume(run: Path, workers: int, rng: random.Random, kills: int):
    """Kill a run again and again at random instants, most of them after it got going."""
    recipe = tiny_recipe(workers=workers, checkpoint_seconds=0)
    for _ in range(kills):
        process = start_training(recipe, run, resume=True)
        if rng.random() < 0.75:
            _wait_for_a_step(run, process)
        process.join(timeout=rng.uniform(0.0, 0.6))
        process.kill()
        process.join()
    process = start_training(recipe, run, resume=True)
    process.join(timeout=200)
    assert process.exitcode == 0


def _wait_for_a_step(run: Path, process: BaseProcess) -> None:
    """Until the journal holds a step that it did not hold before."""
    journal = run / "journal.jsonl"
    lines = journal.read_bytes().splitlines() if journal.exists() else []
    deadline = time.monotonic() + 100
    while process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.005)
        now = journal.read_bytes().splitlines() if journal.exists() else []
        if now and now != lines and b'"kind": "step"' in now[-1]:
            return


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_random_and_resumed_equals_uninterrupted(finished, tmp_path, workers):
    rng = random.Random(workers)
    _kill_and_resume(tmp_path / "run", workers, rng, kills=3)
    assert_same_outcome(finished, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_many_kills(finished, tmp_path, seed):
    rng = random.Random(1000 + seed)
    _kill_and_resume(tmp_path / "run", 2 * (seed % 2), rng, kills=8)
    assert_same_outcome(finished, tmp_path / "run")


@pytest.mark.parametrize(
    ("where", "after"),
    [("save_model", True), ("save_checkpoint", False), ("link_checkpoint", False)],
)
def test_stopped_around_each_save_and_resumed(finished, tmp_path, monkeypatch, where, after):
    """A kill just before and just after each kind of save, by an error that nobody handles."""
    from segscape.training import run_writer

    real, calls = getattr(run_writer, where), []

    class Killed(BaseException):
        pass

    def killing(*arguments: Any) -> None:
        calls.append(where)
        if len(calls) == 2 and not after:
            raise Killed
        real(*arguments)
        if len(calls) == 2:
            raise Killed

    recipe = tiny_recipe(checkpoint_seconds=0)
    with monkeypatch.context() as patch:
        patch.setattr(run_writer, where, killing)
        with contextlib.suppress(Killed):
            train_here(recipe, tmp_path / "run")
    train_here(recipe, tmp_path / "run", resume=True)
    assert_same_outcome(finished, tmp_path / "run")


def test_a_killed_run_leaves_no_workers_behind(tmp_path):
    process = start_training(tiny_recipe(workers=2), tmp_path / "run", resume=False)
    _wait_for_a_step(tmp_path / "run", process)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.join()
    assert len(workers) == 2
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{worker}/exe").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_leaves_with_its_code(finished, tmp_path, number, code):
    recipe = tiny_recipe(workers=2)
    process = start_training(recipe, tmp_path / "run", resume=False)
    _wait_for_a_step(tmp_path / "run", process)
    os.kill(process.pid or 0, number)
    process.join(timeout=60)
    assert process.exitcode == code
    assert (tmp_path / "run/checkpoints/last/state.json").exists()
    assert read_journal(tmp_path / "run")[-1]["kind"] != "end"
    train_here(recipe, tmp_path / "run", resume=True)
    assert_same_outcome(finished, tmp_path / "run")


@pytest.mark.parametrize("step", [0, 1])
def test_a_signal_before_the_first_step_is_done_is_remembered(
    finished, tmp_path, monkeypatch, step
):
    """Ctrl-C while the first images are still being read."""
    from segscape.training import loop
    from segscape.training.interruption import Interrupted

    real = loop.take_step

    def asked(parts: Any, loader: Any, number: int) -> Any:
        if number == step:
            os.kill(os.getpid(), signal.SIGINT)
        return real(parts, loader, number)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "take_step", asked)
        with pytest.raises(Interrupted):
            train_here(tiny_recipe(), tmp_path / "run")
    assert (tmp_path / "run/checkpoints/last/state.json").exists()
    train_here(tiny_recipe(), tmp_path / "run", resume=True)
    assert_same_outcome(finished, tmp_path / "run")
