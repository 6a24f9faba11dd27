"""Lists of classes, parsed: text files, YAML files and the same inline in a recipe."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml

from segscape.structures import Category, DatasetError, StructureError, Taxonomy
from segscape.structures.colors import Color, colors_for
from segscape.structures.taxonomy import IGNORE_ID

_TOP = ("categories", "ignore")
_OF_CATEGORY = ("name", "id", "color", "is_thing", "part_of")
_NUMBERED = re.compile(r"\d+\s*[\s:,;=]")


class ClassList(NamedTuple):
    """What a list of classes says: the arguments of a LabelCoding."""

    taxonomy: Taxonomy
    file_ids: tuple[int, ...]
    ignored_ids: frozenset[int]
    ignored_colors: frozenset[Color]


def load_class_list(path: Path) -> ClassList:
    """Read a class list from a file.

    A text file (`classes.txt`) holds one name per line; ids count from 0. The id right after the
    last name, n, is taken as void as well as 255: data sets such as CamVid write it so.

    A YAML file (`.yaml`, `.yml`) says more; only 255 and what `ignore` lists is void:

        categories:
          - name: road              # the only key that must be there
            id: 7                   # in files; 0, 1, 2 ... when no category has one
            color: [128, 64, 128]   # or "#804080"
            is_thing: false
            part_of: null
        ignore: [0, 1, [0, 0, 0]]   # ids, and colours of RGB-coded masks

    or shortly a list of names.

    Raises:
        DatasetError: when the file is missing, is not text, or does not say this.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DatasetError(
            f"{path}: no such file: list the class names there, one a line"
        ) from None
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path}: is not UTF-8 text (byte {error.start}): save it as UTF-8"
        ) from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    if path.suffix.lower() not in (".yaml", ".yml"):
        return _from_lines(text, path)
    try:
        content: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        reason = getattr(error, "problem", None) or "malformed"
        raise DatasetError(f"{path}: is not valid YAML{where} ({reason})") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: is not valid YAML ({error})") from error
    return parse_class_list(content, str(path))


def parse_class_list(mapping: object, source: str) -> ClassList:
    """Take a class list from parsed YAML or JSON.

    Args:
        mapping: `{"categories": [...], "ignore": [...]}` or a list of names.
        source: the file or recipe key, for the errors.

    Raises:
        DatasetError: naming source and key, what was found and what was expected.
    """
    if isinstance(mapping, list):
        mapping = {"categories": mapping}
    if not isinstance(mapping, Mapping):
        raise DatasetError(
            f"{source}: holds {_kind(mapping)}, expected `categories:` with a list, or a list of "
            "names"
        )
    _refuse_unknown_keys(cast("Mapping[object, object]", mapping), _TOP, source)
    entries = mapping.get("categories")
    if not isinstance(entries, list) or not entries:
        raise DatasetError(f"{source}: categories is {_kind(entries)}, expected a list of classes")
    items = [
        _entry(entry, f"{source}: categories[{i}]")
        for i, entry in enumerate(cast("list[object]", entries))
    ]
    ids, colors = _ignored(mapping.get("ignore", []), f"{source}: ignore")
    numbered = [item["id"] for item in items if item["id"] is not None]
    if numbered and len(numbered) < len(items):
        lacking = next(item["name"] for item in items if item["id"] is None)
        raise DatasetError(f"{source}: '{lacking}' has no id while others have: give all or none")
    try:
        ignore_id = IGNORE_ID if len(items) <= IGNORE_ID else 65535
        taxonomy = Taxonomy(_with_colors(items), ignore_id)
        return ClassList(taxonomy, tuple(numbered or range(len(items))), ids, colors)
    except StructureError as error:
        raise DatasetError(f"{source}: {error}") from error


def _from_lines(text: str, path: Path) -> ClassList:
    names = [line.strip() for line in text.splitlines()]
    names = [name for name in names if name and not name.startswith("#")]
    if not names:
        raise DatasetError(f"{path}: is empty: list the class names, one a line")
    if all(_NUMBERED.match(name) for name in names):
        raise DatasetError(
            f"{path}: every line begins with a number ('{names[0]}'), expected names alone: ids "
            "and colors go into a YAML of classes"
        )
    try:
        taxonomy = Taxonomy.from_names(names)
        return ClassList(taxonomy, tuple(range(len(names))), frozenset({len(names)}), frozenset())
    except StructureError as error:
        raise DatasetError(f"{path}: {error}") from error


def _entry(entry: object, where: str) -> dict[str, Any]:
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, Mapping):
        raise DatasetError(
            f"{where} is {_kind(entry)} ({entry!r}), expected a name (in quotes where YAML takes "
            "it for something else) or keys"
        )
    keys = cast("Mapping[object, object]", entry)
    _refuse_unknown_keys(keys, _OF_CATEGORY, where)
    name, part_of = keys.get("name"), keys.get("part_of")
    if not isinstance(name, str) or not name.strip():
        raise DatasetError(f"{where}: name is {_kind(name)} ({name!r}), expected text in quotes")
    if part_of is not None and not isinstance(part_of, str):
        raise DatasetError(f"{where}: part_of is {_kind(part_of)}, expected a category's name")
    is_thing = keys.get("is_thing", False)
    if not isinstance(is_thing, bool):
        raise DatasetError(f"{where}: is_thing is {is_thing!r}, expected true or false")
    number = keys.get("id")
    if number is not None and not _is_integer(number):
        raise DatasetError(f"{where}: id is {number!r}, expected a whole number")
    color = keys.get("color")
    return {
        "name": name,
        "id": number,
        "color": None if color is None else _color(color, f"{where}: color"),
        "is_thing": is_thing,
        "part_of": part_of,
    }


def _with_colors(items: list[dict[str, Any]]) -> tuple[Category, ...]:
    colors = colors_for([item["name"] for item in items], [item["color"] for item in items])
    return tuple(
        Category(item["name"], color, item["is_thing"], item["part_of"])
        for item, color in zip(items, colors, strict=True)
    )


def _ignored(values: object, where: str) -> tuple[frozenset[int], frozenset[Color]]:
    if values is None:
        values = []
    if not isinstance(values, list):
        raise DatasetError(f"{where} is {_kind(values)}, expected a list of ids")
    ids: set[int] = set()
    colors: set[Color] = set()
    for value in cast("list[Any]", values):
        if _is_integer(value):
            ids.add(value)
        elif isinstance(value, (list, str)):
            colors.add(_color(cast("object", value), where))
        else:
            raise DatasetError(f"{where} holds {value!r}, expected ids or colors [r, g, b]")
    return frozenset(ids), frozenset(colors)


def _color(value: object, where: str) -> Color:
    if isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        return int(value[1:3], 16), int(value[3:5], 16), int(value[5:], 16)
    if isinstance(value, (list, tuple)):
        parts = cast("list[Any]", list(cast("list[object]", value)))
        if len(parts) == 3 and all(_is_integer(part) and 0 <= part <= 255 for part in parts):
            return parts[0], parts[1], parts[2]
    raise DatasetError(f"{where} is {value!r}, expected [r, g, b] in 0..255 or '#rrggbb'")


def _refuse_unknown_keys(
    found: Mapping[object, object], known: tuple[str, ...], where: str
) -> None:
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
            raise DatasetError(f"{where}: unknown key '{key}': {hint}")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    return {list: "a list", dict: "a mapping", str: "text", bool: "true/false"}.get(
        type(cast("Any", value)), type(value).__name__
    )
