"""Where in a folder the model is."""

from pathlib import Path

from segscape.io.atomic import recover
from segscape.structures import CheckpointError


def model_folder(folder: str | Path) -> Path:
    """The folder that holds `model.safetensors`: `folder/model`, or `folder` itself.

    Raises:
        CheckpointError: when neither holds a model; the message says what the folder is instead.
    """
    folder = Path(folder)
    inside = recover(folder / "model")
    if inside.is_dir():
        return inside
    if (recover(folder) / "model.safetensors").is_file():
        return recover(folder)
    if not folder.exists():
        raise CheckpointError(f"{folder}: no such folder: give a run folder made by segscape train")
    if (folder / "recipe.yaml").is_file():
        raise CheckpointError(
            f"{folder}: this run has no model yet: finish it with "
            f"`segscape train {folder / 'recipe.yaml'} --out {folder} --resume`"
        )
    raise CheckpointError(
        f"{folder}: holds neither model/ nor model.safetensors: give a run folder made by segscape "
        "train, or the model/ folder inside it"
    )
