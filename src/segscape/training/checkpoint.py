"""The state of a training as a folder of safetensors and JSON; no pickle.

`checkpoints/last` is what `--resume` continues from, `checkpoints/best` the state at the best
validation. Both hold `model.safetensors`, `average.safetensors` (with a moving average),
`optimizer.safetensors` (tensors named `PARAMETER|KEY`) and `state.json`. Random numbers, order and
schedule are functions of the step, so the step stands for them all, and nothing depends on how many
processes wrote or read.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from segscape.io.atomic import atomic_folder, recover
from segscape.structures import CheckpointError, OutputError

FORMAT = 1
LAST = Path("checkpoints/last")
BEST = Path("checkpoints/best")


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Args:
        step: optimizer steps done.
        evaluated: the step after which the last evaluation was made, -1 for none yet.
        best_step: the step of the best evaluation, -1 for none yet.
        best_miou: its mean IoU in [0, 1], None when no category could be judged.
        stale: evaluations since the best.
    """

    step: int = 0
    evaluated: int = -1
    best_step: int = -1
    best_miou: float | None = None
    stale: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """Everything a training needs to go on.

    Args:
        progress: how far it is.
        journal_bytes: the journal's length at this moment.
        scaler: state of the gradient scaler, empty but for fp16.
        identity: what must be the same for a run to go on (recipe, categories, data).
        model: weights and buffers by name.
        average: those of the moving average; empty without one.
        optimizer: its state by parameter name.
    """

    progress: Progress
    journal_bytes: int
    scaler: Mapping[str, Any]
    identity: Mapping[str, Any]
    model: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]

    def parts(self) -> dict[str, Mapping[str, Tensor]]:
        """The tensors by file."""
        return {"model": self.model, "average": self.average, "optimizer": self.optimizer}


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all; the old one stays until the new one is on the disk.

    Raises:
        OutputError: when it cannot be written, as on a full disk.
    """
    need = sum(tensor.nbytes for part in checkpoint.parts().values() for tensor in part.values())
    refuse_full_disk(folder, need)
    state = {
        "format": FORMAT,
        "progress": asdict(checkpoint.progress),
        "journal_bytes": checkpoint.journal_bytes,
        "scaler": dict(checkpoint.scaler),
        "identity": dict(checkpoint.identity),
    }
    with atomic_folder(folder) as temporary:
        for name, tensors in checkpoint.parts().items():
            if tensors:
                kept = {key: tensor.detach().contiguous() for key, tensor in tensors.items()}
                save_file(kept, temporary / f"{name}.safetensors")
        (temporary / "state.json").write_text(json.dumps(state, indent=1), "utf-8")


def link_checkpoint(source: Path, folder: Path) -> None:
    """Give a complete checkpoint a second name without writing its tensors again.

    Raises:
        OutputError: when it cannot be written.
    """
    with atomic_folder(folder) as temporary:
        for file in source.iterdir():
            try:
                os.link(file, temporary / file.name)
            except OSError:  # not every disk has links
                shutil.copyfile(file, temporary / file.name)


def refuse_full_disk(folder: Path, need: int) -> None:
    """Say early that a checkpoint will not fit.

    Raises:
        OutputError: when less than `need` bytes are free.
    """
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < need:
        kept = "; the last checkpoint is whole" if (folder / "state.json").is_file() else ""
        raise OutputError(
            f"{folder}: a checkpoint takes {need / 2**20:,.0f} MiB and {free / 2**20:,.0f} MiB "
            f"are free: free some space, then continue with --resume{kept}"
        )


def has_checkpoint(run: Path) -> bool:
    """Whether a run can be continued from a checkpoint."""
    return (recover(run / LAST) / "state.json").is_file()


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint; tensors come to the CPU.

    Raises:
        CheckpointError: when it is missing, damaged or of a later format.
    """
    folder = recover(folder)
    try:
        state = json.loads((folder / "state.json").read_text("utf-8"))
        if state["format"] != FORMAT:
            raise CheckpointError(
                f"{folder}: format {state['format']}, this version reads {FORMAT}: use the version "
                "of Segscape that wrote it"
            )
        parts = {
            name: load_file(folder / f"{name}.safetensors")
            if (folder / f"{name}.safetensors").is_file()
            else {}
            for name in ("model", "average", "optimizer")
        }
        return Checkpoint(
            progress=Progress(**state["progress"]),
            journal_bytes=state["journal_bytes"],
            scaler=state["scaler"],
            identity=state["identity"],
            **parts,
        )
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}: damaged or incomplete ({' '.join(str(error).split())}): delete the folder "
            "to start afresh, or copy checkpoints/best in its place"
        ) from error


def refuse_another(folder: Path, saved: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse to continue as something else.

    Raises:
        CheckpointError: naming the first key that differs, with both values.
    """
    for path, before, now in _differences("", saved, asked):
        raise CheckpointError(
            f"{folder}: belongs to a run with {path} = {_short(before)}, asked is {_short(now)}: "
            "ask for the same, or train into another folder with --out"
        )


_ABSENT = "(absent)"


def _differences(path: str, before: object, now: object) -> list[tuple[str, object, object]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = list(before) + [key for key in now if key not in before]
        return [
            difference
            for key in keys
            for difference in _differences(
                f"{path}.{key}" if path else str(key),
                before.get(key, _ABSENT),
                now.get(key, _ABSENT),
            )
        ]
    return [] if before == now else [(path, before, now)]


def _short(value: object) -> str:
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) <= 80 else text[:77] + "..."
