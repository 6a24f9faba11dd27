"""Checkpoints: whole or not at all, and the same tensors back."""

import errno
import os
from dataclasses import replace

import pytest
import torch

from segscape.structures import CheckpointError, OutputError
from segscape.training import checkpoint as module
from segscape.training.checkpoint import (
    Checkpoint,
    Progress,
    link_checkpoint,
    load_checkpoint,
    refuse_another,
    save_checkpoint,
)


def _checkpoint(step: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    weight = torch.randn(8, 4, 3, 3, generator=generator).to(memory_format=torch.channels_last)
    return Checkpoint(
        progress=Progress(step=step, evaluated=step, best_step=1, best_miou=0.1 + 0.2, stale=2),
        journal_bytes=123,
        scaler={"scale": 65536.0, "_growth_tracker": 3},
        identity={"recipe": {"a": [1, 2]}},
        model={"weight": weight, "count": torch.tensor(step)},
        average={},
        optimizer={"weight|exp_avg": weight * 2, "weight|step": torch.tensor(float(step))},
    )


def _same(one: Checkpoint, two: Checkpoint) -> bool:
    tensors = all(
        first.keys() == second.keys()
        and all(torch.equal(first[name], second[name]) for name in first)
        for first, second in zip(one.parts().values(), two.parts().values(), strict=True)
    )
    return tensors and replace(one, model={}, optimizer={}) == replace(two, model={}, optimizer={})


def test_round_trip_and_replacement(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path / "last", _checkpoint(step))
        assert _same(load_checkpoint(tmp_path / "last"), _checkpoint(step))
    assert [file.name for file in tmp_path.iterdir()] == ["last"]


def test_a_link_outlives_its_source(tmp_path):
    save_checkpoint(tmp_path / "best", _checkpoint(1))
    link_checkpoint(tmp_path / "best", tmp_path / "last")
    save_checkpoint(tmp_path / "best", _checkpoint(2))
    assert _same(load_checkpoint(tmp_path / "last"), _checkpoint(1))
    assert _same(load_checkpoint(tmp_path / "best"), _checkpoint(2))


@pytest.mark.parametrize("nth", [1, 2])
def test_a_full_disk_leaves_the_old_one(tmp_path, monkeypatch, nth):
    save_checkpoint(tmp_path / "last", _checkpoint(1))
    real, calls = module.save_file, []

    def full(tensors, path):
        calls.append(path)
        if len(calls) == nth:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(tensors, path)

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(OutputError, match="disk full") as caught:
        save_checkpoint(tmp_path / "last", _checkpoint(2))
    assert "\n" not in str(caught.value)
    assert _same(load_checkpoint(tmp_path / "last"), _checkpoint(1))
    assert [file.name for file in tmp_path.iterdir()] == ["last"]


def test_too_little_space_is_seen_before_writing(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "last", _checkpoint(1))
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: _Usage)
    with pytest.raises(OutputError, match=r"takes .* MiB and 0 MiB are free"):
        save_checkpoint(tmp_path / "last", _checkpoint(2))
    assert _same(load_checkpoint(tmp_path / "last"), _checkpoint(1))


class _Usage:
    free = 100


def test_killed_while_folders_are_exchanged(tmp_path):
    save_checkpoint(tmp_path / "last", _checkpoint(1))
    (tmp_path / "last").rename(tmp_path / "last.old")
    assert _same(load_checkpoint(tmp_path / "last"), _checkpoint(1))


@pytest.mark.parametrize("damage", ["cut", "lost", "json", "format", "missing"])
def test_damage_is_one_line_with_a_cure(tmp_path, damage):
    folder = tmp_path / "last"
    save_checkpoint(folder, _checkpoint(1))
    weights, state = folder / "model.safetensors", folder / "state.json"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-5])
    elif damage == "lost":
        state.unlink()
    elif damage == "json":
        state.write_text("{")
    elif damage == "format":
        state.write_text(state.read_text().replace('"format": 1', '"format": 9'))
    else:
        folder = tmp_path / "nothing"
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_differences_are_named_by_their_path(tmp_path):
    saved = {"recipe": {"training": {"seed": 0}}, "categories": ["a", "b"]}
    refuse_another(tmp_path, saved, saved)
    with pytest.raises(CheckpointError, match=r"recipe\.training\.seed = 0, asked is 1"):
        refuse_another(tmp_path, saved, saved | {"recipe": {"training": {"seed": 1}}})
    with pytest.raises(CheckpointError, match=r'categories = \["a", "b"\], asked is \["b", "a"\]'):
        refuse_another(tmp_path, saved, saved | {"categories": ["b", "a"]})
    with pytest.raises(CheckpointError, match=r"new = \(absent\), asked is 3"):
        refuse_another(tmp_path, saved, saved | {"new": 3})
