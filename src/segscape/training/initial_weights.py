"""Start from the weights of another model: staged training and fine-tuning."""

import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from segscape.io.atomic import recover
from segscape.models import AnyModel
from segscape.models.model_files import read_description
from segscape.structures import CheckpointError, SegscapeWarning


def start_from(model: AnyModel, folder: Path) -> tuple[str, ...]:
    """Copy every tensor that has the same name and shape; the names of those left as they were.

    What cannot be taken over, as the last layer for another number of categories, is said in a
    warning, and so are other categories of the same number.

    Args:
        model: freshly built.
        folder: a run folder or the `model` folder in it.

    Raises:
        CheckpointError: when there are no weights, or fewer than half of the model's are there.
    """
    place = recover(folder / "model") if (recover(folder / "model")).is_dir() else recover(folder)
    file = place / "model.safetensors"
    try:
        saved = load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"weights {file}: cannot be read ({' '.join(str(error).split())}): name a run folder "
            "or the model folder in it"
        ) from error
    theirs = [one["name"] for one in read_description(place)["taxonomy"]["categories"]]
    own = model.state_dict()
    left = [
        name
        for name, tensor in own.items()
        if name not in saved or saved[name].shape != tensor.shape
    ]
    if 2 * len(left) > len(own):
        raise CheckpointError(
            f"weights {file}: {len(own) - len(left)} of the {len(own)} tensors of this model are "
            "in it by name and shape: start from the same architecture"
        )
    with torch.no_grad():
        for name in own.keys() - set(left):
            own[name].copy_(saved[name])
    if len(theirs) == len(model.taxonomy) and (*theirs,) != model.taxonomy.names:
        at = next(i for i, name in enumerate(theirs) if name != model.taxonomy.names[i])
        warnings.warn(
            f"{file} was trained on other categories ({at} is '{theirs[at]}' there and "
            f"'{model.taxonomy.names[at]}' here), and the last layer starts from theirs",
            SegscapeWarning,
            stacklevel=2,
        )
    if left:
        shown = ", ".join(left[:4]) + (" ..." if len(left) > 4 else "")
        warnings.warn(
            f"{len(left)} of {len(own)} tensors start fresh, {file} has none for them: {shown}",
            SegscapeWarning,
            stacklevel=2,
        )
    return tuple(left)
