"""JSON files that appear whole, and are read with an error that names the file."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from segscape.io.atomic import atomic_file
from segscape.structures import DatasetError, OutputError, SegscapeError


def write_json(path: str | Path, value: object) -> None:
    """Write indented UTF-8 JSON; numbers that are not finite become null, as JSON has none.

    Raises:
        OutputError: when the value holds what JSON cannot, or the file cannot be written.
    """
    path = Path(path)
    try:
        text = json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)
        data = (text + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise OutputError(f"{path}: cannot be written as JSON ({error})") from error
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def read_json(path: str | Path, *, error: type[SegscapeError] = DatasetError) -> Any:  # noqa: ANN401
    """Read a JSON file.

    Args:
        path: the file.
        error: what to raise.

    Raises:
        SegscapeError: of the given type, when the file is missing, unreadable or not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise error(f"{path}: no such file: check the name and the folder") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror})") from problem
    except (ValueError, RecursionError) as problem:
        raise error(f"{path}: is not valid JSON ({problem}): write it again") from problem


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast("list[Any]", value)]
    return value
