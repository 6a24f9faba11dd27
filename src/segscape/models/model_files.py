"""Model folders: `model.safetensors` with the weights, `model.json` with what they mean.

No pickle: a stranger's model can be loaded without running his code. The folder is written to a
temporary name and renamed, so that it is there whole or not at all.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from segscape.io.atomic import atomic_folder, recover
from segscape.models import MODELS, AnyModel, Architecture, build_model
from segscape.structures import (
    Category,
    CheckpointError,
    RecipeError,
    StructureError,
    Taxonomy,
)
from segscape.structures.taxonomy import Color

FORMAT = "segscape-model-1"
WEIGHTS_FILE = "model.safetensors"
DESCRIPTION_FILE = "model.json"
# Options that only say where the first weights came from: a saved model brings its own.
# Options that say where a network began, which one that is loaded need not know.
ORIGINS = ("weights", "coarser", "encoder_weights")
_NAMED = 4


def save_model(folder: str | Path, model: AnyModel) -> None:
    """Write a model folder; one that was there before is replaced as a whole.

    Raises:
        CheckpointError: when the model was not built by `build_model`, so that nobody could build
            it again.
        OutputError: when the folder cannot be written; an older one is untouched.
    """
    if model.architecture is None:
        raise CheckpointError(
            f"this {type(model).__name__} does not know how it was built: make it by build_model"
        )
    with atomic_folder(folder) as temporary:
        tensors = {name: value.detach().cpu().contiguous() for name, value in _state(model).items()}
        save_file(tensors, temporary / WEIGHTS_FILE)
        text = json.dumps(describe(model), indent=2, ensure_ascii=False)
        (temporary / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf-8")


def load_model(folder: str | Path, *, taxonomy: Taxonomy | None = None) -> AnyModel:
    """Build a saved model and fill in its weights, on the CPU, in evaluation mode.

    Nothing is ever downloaded.

    Args:
        folder: of `save_model`, as a run's `model/`.
        taxonomy: what the caller's labels mean; the model must have been trained on the same names
            in the same order. None takes the model's word.

    Raises:
        CheckpointError: when a file is missing or damaged, the weights are of another architecture,
            or the taxonomy is another.
    """
    folder = recover(folder)
    description = read_description(folder)
    known = read_taxonomy(folder, description)
    if taxonomy is not None:
        refuse_other_taxonomy(known, taxonomy, source=f"model {folder}")
    options = {name: value for name, value in description["options"].items() if name not in ORIGINS}
    options |= {
        name: description[name] for name in ("in_channels", "mean", "std") if name in description
    }
    try:
        model = build_model(description["name"], known, options)
    except (RecipeError, StructureError) as error:
        raise CheckpointError(f"{folder / DESCRIPTION_FILE}: {error}") from error
    # Saved again, it says the same.
    model.architecture = Architecture(description["name"], description["options"])
    load_weights(model, read_tensors(folder / WEIGHTS_FILE), source=str(folder / WEIGHTS_FILE))
    return model.eval()


def describe(model: AnyModel) -> dict[str, object]:
    """What `model.json` holds: format, name, options, channels, normalisation, taxonomy."""
    if model.architecture is None:
        raise CheckpointError(
            f"this {type(model).__name__} does not know how it was built: make it by build_model"
        )
    return {
        "format": FORMAT,
        "name": model.architecture.name,
        "task": MODELS[model.architecture.name].task,
        "options": dict(model.architecture.options),
        "in_channels": model.in_channels,
        "mean": model.mean.flatten().tolist(),
        "std": model.std.flatten().tolist(),
        "taxonomy": taxonomy_to_mapping(model.taxonomy),
    }


def read_description(folder: Path) -> dict[str, Any]:
    """Read and check `model.json`.

    Raises:
        CheckpointError: when it is missing, damaged, or of another format.
    """
    path = folder / DESCRIPTION_FILE
    try:
        description: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{folder} is not a model folder: it has no {DESCRIPTION_FILE}: give the folder "
            "`model` of a run"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}): copy the model folder again"
        ) from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        found = description.get("format") if isinstance(description, dict) else description
        raise CheckpointError(
            f"{path} has format {str(found)[:80]!r}, expected {FORMAT!r}: load it with the version "
            "of segscape that wrote it"
        )
    parts = {
        "name": str,
        "task": str,
        "options": dict,
        "in_channels": int,
        "mean": list,
        "std": list,
        "taxonomy": dict,
    }
    wrong = [key for key, kind in parts.items() if not isinstance(description.get(key), kind)]
    if wrong:
        raise CheckpointError(
            f"{path} is damaged: {', '.join(wrong)} is missing or of the wrong type: copy the "
            "model folder again"
        )
    return description


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: when it is missing or damaged.
    """
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist: copy the model folder again") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}): copy the model folder again"
        ) from error


def load_weights(model: AnyModel, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Fill a model with tensors that must match by name and shape.

    Raises:
        CheckpointError: naming the tensors that differ, when they are of another architecture.
    """
    wanted = _state(model)
    missing = sorted(set(wanted) - set(tensors))
    surplus = sorted(set(tensors) - set(wanted))
    reshaped = [
        f"{name} {tuple(tensors[name].shape)} for {tuple(wanted[name].shape)}"
        for name in sorted(set(wanted) & set(tensors))
        if tensors[name].shape != wanted[name].shape
    ]
    if missing or surplus or reshaped:
        parts = [
            f"{len(names)} {what} ({', '.join(names[:_NAMED])}{', ...' * (len(names) > _NAMED)})"
            for names, what in (
                (missing, "tensors missing"),
                (surplus, "unknown"),
                (reshaped, "of another shape"),
            )
            if names
        ]
        name = model.architecture.name if model.architecture else type(model).__name__
        raise CheckpointError(
            f"{source} holds the weights of another architecture than '{name}': "
            f"{', '.join(parts)}: load it as the model it was saved from"
        )
    broken = [
        name for name, value in tensors.items() if value.is_floating_point() and _is_broken(value)
    ]
    if broken:
        raise CheckpointError(
            f"{source} holds values that are not finite numbers ({', '.join(broken[:_NAMED])}"
            f"{', ...' * (len(broken) > _NAMED)}): take an earlier checkpoint or train again"
        )
    model.load_state_dict(dict(tensors), strict=False)


def _is_broken(values: Tensor) -> bool:
    return not bool(values.isfinite().all())


def refuse_other_taxonomy(saved: Taxonomy, wanted: Taxonomy, *, source: str) -> None:
    """Compare the names of categories and their order.

    Raises:
        CheckpointError: when they differ, saying how.
    """
    if saved.names == wanted.names:
        return
    if sorted(saved.names) == sorted(wanted.names):
        position = next(i for i, name in enumerate(saved.names) if name != wanted.names[i])
        raise CheckpointError(
            f"{source} has the same categories in another order: id {position} is "
            f"'{saved.names[position]}' there and '{wanted.names[position]}' in the data: give "
            "the data its classes in the model's order"
        )
    lost = [name for name in saved.names if name not in wanted.names]
    new = [name for name in wanted.names if name not in saved.names]
    raise CheckpointError(
        f"{source} was trained on {len(saved)} categories, the data has {len(wanted)}: only the "
        f"model has {_some(lost)}, only the data {_some(new)}: use the data set of the training "
        "or train a new model"
    )


def taxonomy_to_mapping(taxonomy: Taxonomy) -> dict[str, object]:
    """Plain numbers and strings, as JSON holds them."""
    return {
        "ignore_id": taxonomy.ignore_id,
        "categories": [
            {
                "name": category.name,
                "color": list(category.color),
                "is_thing": category.is_thing,
                "part_of": category.part_of,
            }
            for category in taxonomy.categories
        ],
    }


def taxonomy_from_mapping(mapping: Mapping[str, Any]) -> Taxonomy:
    """Undo `taxonomy_to_mapping`.

    Raises:
        StructureError: when the categories contradict each other.
        KeyError: when a part is missing.
    """
    categories = tuple(
        Category(
            _text(entry["name"]),
            _color(entry["color"]),
            is_thing=entry.get("is_thing", False),
            part_of=entry.get("part_of"),
        )
        for entry in mapping["categories"]
    )
    ignore_id = mapping["ignore_id"]
    if not isinstance(ignore_id, int):
        raise TypeError(f"ignore_id is {ignore_id!r}, expected a whole number")
    return Taxonomy(categories, ignore_id)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a category's name is {value!r}, expected text")
    return value


def _color(values: Sequence[int]) -> Color:
    red, green, blue = values
    return int(red), int(green), int(blue)


def read_taxonomy(folder: Path, description: Mapping[str, Any]) -> Taxonomy:
    """What the labels of a saved model mean, from what `read_description` gave.

    Raises:
        CheckpointError: when it is damaged.
    """
    try:
        return taxonomy_from_mapping(description["taxonomy"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{folder / DESCRIPTION_FILE}: the taxonomy is damaged ({error}): copy the model "
            "folder again"
        ) from error


def _state(model: AnyModel) -> dict[str, Tensor]:
    """The state dict, without the tensors that share their memory with an earlier one."""
    seen: set[int] = set()
    state: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if tensor.numel() and tensor.data_ptr() in seen:
            continue
        seen.add(tensor.data_ptr())
        state[name] = tensor
    return state


def _some(names: Sequence[str]) -> str:
    if not names:
        return "none"
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
