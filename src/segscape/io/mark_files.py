"""What people mark in an image for a method: scribbles and a box, from a PNG or from JSON.

A PNG holds ids as in memory: 255 is not marked; 0 is background and 1 the object for methods of two
classes; 0..k-1 for methods of k labels. JSON holds strokes and boxes in pixels, x to the right and
y down:

```
{"strokes": [{"points": [[40, 31.5], [60, 35]], "width": 5, "label": 1}],
 "boxes": [[10, 12, 200, 180]]}
```
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from segscape.io.mask_files import read_ids
from segscape.ops.strokes import stroke_pixels
from segscape.structures import MaskFileError, Size

UNMARKED = 255
_FORM = 'expected {"strokes": [{"points": [[x, y], ...], "width": w, "label": l}], "boxes": [...]}'


@dataclass(frozen=True)
class Marks:
    """What was marked in one image.

    Args:
        marks: 255 where nothing is marked; None without scribbles.
        boxes: left, top, right and bottom in pixels, right and bottom exclusive; they may reach
            beyond the image.
    """

    marks: UInt8[Tensor, "height width"] | None
    boxes: tuple[tuple[int, int, int, int], ...] = ()


def read_marks(path: str | Path, size: Size) -> Marks:
    """Read the marks of an image.

    Args:
        path: a PNG of ids, or JSON by the suffix `.json`.
        size: of the image.

    Raises:
        ImageFileError: when the PNG is missing or damaged.
        MaskFileError: when it is of another size or holds other ids than 0..255; when the JSON is
            malformed, marks a pixel with two labels or nothing at all.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        return _from_json(path, size)
    ids = read_ids(path)
    if tuple(ids.shape) != tuple(size):
        raise MaskFileError(
            f"{path}: the marks are {ids.shape[0]} x {ids.shape[1]} but the image {size.height} x "
            f"{size.width} pixels: draw them on the image itself"
        )
    if int(ids.min()) < 0 or int(ids.max()) > UNMARKED:
        raise MaskFileError(
            f"{path}: holds ids from {int(ids.min())} to {int(ids.max())}, expected labels 0..254 "
            f"and {UNMARKED} where nothing is marked"
        )
    return Marks(ids.to(torch.uint8))


def checked_box(box: Sequence[object], size: Size, place: str | Path) -> tuple[int, int, int, int]:
    """Refuse a box that is none; one that reaches beyond the image is cut off by what uses it.

    Args:
        box: left, top, right and bottom in pixels, right and bottom exclusive.
        size: of the image.
        place: where the box was found, for the error.

    Raises:
        MaskFileError: when it is empty, outside the image or not of four whole numbers.
    """
    if len(box) == 4 and all(type(side) is int for side in box):
        left, top, right, bottom = (side for side in box if isinstance(side, int))
        if max(left, 0) < min(right, size.width) and max(top, 0) < min(bottom, size.height):
            return left, top, right, bottom
    raise MaskFileError(
        f"{place}: the box {list(box)} is none in an image {size.width} wide and {size.height} "
        "high: give left, top, right, bottom as whole pixels, right and bottom exclusive"
    )


def _from_json(path: Path, size: Size) -> Marks:
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise MaskFileError(f"{path}: cannot be read ({error.strerror}): check the name") from error
    except ValueError as error:
        raise MaskFileError(f"{path}: is no JSON ({error}): {_FORM}") from error
    if not isinstance(found, dict) or not set(found) <= {"strokes", "boxes"} or not found:
        raise MaskFileError(f"{path}: {_FORM}")
    boxes = tuple(
        checked_box(box if isinstance(box, list) else [box], size, path)
        for box in _list(path, found, "boxes")
    )
    strokes = _list(path, found, "strokes")
    if not strokes and not boxes:
        raise MaskFileError(f"{path}: marks nothing: {_FORM}")
    return Marks(_drawn(path, strokes, size) if strokes else None, boxes)


def _drawn(path: Path, strokes: list[Any], size: Size) -> UInt8[Tensor, "height width"]:
    marks = np.full(tuple(size), UNMARKED, np.uint8)
    owner = np.zeros(tuple(size), np.int32)
    for number, stroke in enumerate(strokes, start=1):
        try:
            points = [(float(x), float(y)) for x, y in stroke["points"]]
            pixels = stroke_pixels(
                points, width=float(stroke.get("width", 1.0)), size=(size.height, size.width)
            )
            label = stroke["label"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MaskFileError(
                f"{path}: stroke {number} is malformed ({error}): {_FORM}"
            ) from None
        if type(label) is not int or not 0 <= label < UNMARKED:
            raise MaskFileError(
                f"{path}: stroke {number} has the label {label!r}, expected a number from 0 to 254"
            )
        if not pixels.any():
            raise MaskFileError(
                f"{path}: stroke {number} lies outside the image, {size.width} wide and "
                f"{size.height} high: give points as x, y in pixels"
            )
        clash = pixels & (marks != UNMARKED) & (marks != label)
        if clash.any():
            y, x = (int(place) for place in np.argwhere(clash)[0])
            raise MaskFileError(
                f"{path}: strokes {owner[y, x]} (label {marks[y, x]}) and {number} (label {label}) "
                f"both mark {int(clash.sum())} pixels, as x {x}, y {y}: let them not cross"
            )
        marks[pixels], owner[pixels] = label, number
    return torch.from_numpy(marks)


def _list(path: Path, found: dict[str, Any], name: str) -> list[Any]:
    value = found.get(name, [])
    if not isinstance(value, list):
        raise MaskFileError(f"{path}: '{name}' is no list: {_FORM}")
    return value
