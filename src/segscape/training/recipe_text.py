"""Recipe files: found by name or path, read as YAML, changed by dotted overrides."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from segscape.structures import RecipeError
from segscape.training.entries import nearest

_FOLDER = files("segscape.recipes")
SHIPPED = tuple(
    sorted(file.name.removesuffix(".yaml") for file in _FOLDER.iterdir() if ".yaml" in file.name)
)
RECIPE_FILE = "recipe.yaml"


class _Loader(yaml.SafeLoader):
    """YAML as people read it: 1e-3 is a number, and a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a second value for a key, where YAML would forget the first."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for place, key in enumerate(keys) if key in keys[:place]), None)
        if twice is not None:
            raise yaml.MarkedYAMLError(
                problem=f"the key {twice!r} stands twice, keep one", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Writes the string "1e-3" in quotes, so that it stays one."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
        list("-+0123456789."),
    )


def to_yaml(mapping: Mapping[str, Any]) -> str:
    """The text that `parse_yaml` reads back as the same mapping, in its order."""
    return yaml.dump(dict(mapping), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def parse_yaml(text: str) -> object:
    """Read YAML.

    Raises:
        RecipeError: with line and column.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader with one more kind of number
    except yaml.YAMLError as error:
        raise RecipeError(f"not YAML: {' '.join(str(error).split())}") from error


def recipe_text(name_or_path: str | Path) -> str:
    """The text of a shipped recipe, a recipe file or the recipe of a run folder.

    Raises:
        RecipeError: when there is no such recipe or it cannot be read.
    """
    name = str(name_or_path)
    if name in SHIPPED:
        return (_FOLDER / f"{name}.yaml").read_text("utf-8")
    path = Path(name_or_path)
    path = path / RECIPE_FILE if path.is_dir() else path
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        is_path = len(Path(name).parts) > 1 or Path(name).exists()
        raise RecipeError(
            f"{path} does not exist: name a recipe file, a run folder or a shipped recipe"
            if is_path
            else f"'{name}' is neither a file nor a shipped recipe: {nearest(name, SHIPPED)}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path}: cannot be read as text: {error}") from error


def recipe_mapping(name_or_path: str | Path) -> dict[str, Any]:
    """What a recipe holds; with `like: OTHER` that is the other recipe and what this one changes.

    Keys are changed one by one. A part with a name of its own, as another model or optimizer,
    replaces the whole part, and so does a list.

    Raises:
        RecipeError: when there is no such recipe, it cannot be read, or it is like itself.
    """
    names = [str(name_or_path)]
    mapping = _mapping(name_or_path)
    while "like" in mapping:
        other: Any = mapping.pop("like")
        if not isinstance(other, str) or not other:
            raise RecipeError(f"like: got {other!r}, expected the name of a recipe")
        beside = Path(names[-1]).parent / other
        if other not in SHIPPED and beside.exists():
            other = str(beside)
        if other in names:
            raise RecipeError(f"like: {' is like '.join([*names, other])}: break the circle")
        names.append(other)
        mapping = _changed(_mapping(other), mapping)
    return mapping


def _mapping(name_or_path: str | Path) -> dict[str, Any]:
    mapping: Any = parse_yaml(recipe_text(name_or_path))
    if not isinstance(mapping, dict):
        raise RecipeError("holds no keys: expected data, model and training")
    return mapping


def _changed(mapping: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(mapping)
    for key, value in changes.items():
        old: Any = changed.get(key)
        merged = isinstance(old, dict) and isinstance(value, dict)
        if merged and value.get("name", old.get("name")) == old.get("name"):
            changed[key] = _changed(old, value)
        else:
            changed[key] = value
    return changed


def override(mapping: dict[str, Any], word: str) -> None:
    """Set one value in a recipe's mapping by `dotted.key=value`; another `name` drops the options.

    Raises:
        RecipeError: when the word has no `=`, or its path leads through a plain value or past a
            list's end.

    >>> recipe = {"training": {"epochs": 9}, "transforms": [{"name": "blur"}]}
    >>> override(recipe, "training.epochs=2"), override(recipe, "transforms.0.sigma=1e-1")
    (None, None)
    >>> recipe
    {'training': {'epochs': 2}, 'transforms': [{'name': 'blur', 'sigma': 0.1}]}
    """
    path, equals, text = word.partition("=")
    if not equals or not path:
        raise RecipeError(f"'{word}' is not an override: write key=value, as training.epochs=2")
    *parents, last = path.split(".")
    place: Any = mapping
    for depth, part in enumerate(parents):
        where = ".".join(parents[: depth + 1])
        if isinstance(place, dict):
            if place.get(part) is None:
                place[part] = {}
            place = place[part]
        else:
            place = place[_index(place, part, where)]
    value = parse_yaml(text) if text else None
    if isinstance(place, dict):
        if last == "name" and place.get("name", value) != value:
            place.clear()  # another part has other options
        place[last] = value
    else:
        place[_index(place, last, path)] = value


def _index(place: object, part: str, path: str) -> int:
    if not isinstance(place, list):
        raise RecipeError(f"{path}: leads into the plain value {place!r}: shorten the key")
    if not part.isdigit() or int(part) >= len(place):
        raise RecipeError(
            f"{path}: '{part}' is not an index of a list of {len(place)}: give 0..{len(place) - 1}"
        )
    return int(part)
