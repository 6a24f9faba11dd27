"""Very small trainings, run here or in a process that may be killed."""

import json
import multiprocessing
import os
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from segscape.training.journal import read_journal
from segscape.training.loop import Trained, train
from segscape.training.recipe import Recipe

IMAGES = 10


def tiny_recipe(**training: Any) -> Recipe:
    """Scenes of 48 x 48 pixels and a U-Net over timm's smallest ResNet; dropout and all."""
    options: dict[str, Any] = {
        "epochs": 4,
        "batch_size": 4,
        "ema": 0.9,
        "precision": "fp32",
        "channels_last": True,
        "workers": 0,
        "previews": 1,
    }
    return Recipe.from_mapping(
        {
            "data": {
                "train": f"synthetic:count={IMAGES},height=48,width=48,seed=0",
                "val": "synthetic:count=3,height=40,width=56,seed=0",
            },
            "model": {
                "name": "unet",
                "encoder": "test_resnet",
                "decoder_channels": [16, 8, 8, 8, 8],
            },
            "transforms": [
                {
                    "name": "random_resized_crop",
                    "height": 32,
                    "width": 32,
                    "scale": [0.8, 1.5],
                    "cover": True,
                },
                {"name": "horizontal_flip"},
                {"name": "color_jitter", "brightness": 0.3, "contrast": 0.3},
            ],
            "losses": [
                {"name": "cross_entropy", "class_weights": "enet"},
                {"name": "dice"},
            ],
            "training": options | training,
        }
    )


def train_here(recipe: Recipe, out: Path, *, resume: bool = False) -> Trained:
    """Train in this process on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(recipe, out, resume=resume, quiet=True)
    finally:
        torch.set_num_threads(threads)


def start_training(recipe: Recipe, out: Path, *, resume: bool) -> BaseProcess:
    """Train in a process of its own, forked in no time from one that has everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.training_runs"])
    # Python 3.11 does not hand sys.path to the server; it needs it once, when it starts.
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    text = recipe.model_dump_json()
    process = context.Process(target=_train, args=(text, str(out), resume), daemon=False)
    process.start()
    return process


def _train(text: str, out: str, resume: bool) -> None:
    from segscape.training.interruption import Interrupted

    torch.set_num_threads(1)
    try:
        train(Recipe.from_mapping(json.loads(text)), out, resume=resume, quiet=True)
    except Interrupted as stop:
        os._exit(stop.exit_code)


def outcome(run: Path) -> dict[str, Any]:
    """All that two equal runs have in common: tensors by file, and the journal without times."""
    files = {
        str(file.relative_to(run)): load_file(file) for file in sorted(run.rglob("*.safetensors"))
    }
    records = [
        {key: value for key, value in record.items() if key != "time"}
        for record in read_journal(run)
        if record["kind"] != "resume"
    ]
    state = json.loads((run / "checkpoints/last/state.json").read_text())["progress"]
    return {"files": files, "journal": records, "state": state}


def assert_same_outcome(first: Path, second: Path) -> None:
    """To the bit."""
    one, two = outcome(first), outcome(second)
    assert one["journal"] == two["journal"]
    assert one["state"] == two["state"]
    assert one["files"].keys() == two["files"].keys()
    for file, tensors in one["files"].items():
        assert tensors.keys() == two["files"][file].keys()
        for name, tensor in tensors.items():
            assert torch.equal(tensor, two["files"][file][name]), (file, name)
