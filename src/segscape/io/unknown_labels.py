"""What to say of ids and colours in a mask that no category has."""

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segscape.structures import MaskFileError

_SHOWN = 8
# More strange values than a person draws by hand: blended edges, compression, or a photograph.
_MANY = 16


def unknown_ids(
    strange: NDArray[Any],
    values: NDArray[Any],
    file_ids: tuple[int, ...],
    ignored: Collection[int],
    source: str,
) -> MaskFileError:
    """The error for ids without a category.

    Args:
        strange: the unknown id of each pixel that has one.
        values: the ids of the whole mask.
        file_ids: the categories' ids in files.
        ignored: the ignored ids.
        source: the mask's file.
    """
    found, counts = np.unique(strange, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    listed = ", ".join(f"{found[i]} ({counts[i]:,} px)" for i in order[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return MaskFileError(
        f"{source}: ids without a category: {listed}{more}; the categories have "
        f"{_ranges(file_ids)}, ignored are {_ranges(ignored)}: "
        + _id_hint(found, np.unique(values).tolist(), file_ids)
    )


def _id_hint(found: NDArray[Any], present: list[int], file_ids: tuple[int, ...]) -> str:
    count, plain = len(file_ids), file_ids == tuple(range(len(file_ids)))
    if len(found) >= _MANY:
        return (
            "it looks like a photograph, or blended by anti-aliasing, scaling or lossy "
            "compression: export masks as PNG without smoothing"
        )
    if plain and present[0] == 1 and found.tolist() == [count]:
        return (
            f"it looks off by one: give the ids 1..{count} in a YAML of classes, or ignore {count}"
        )
    if len(found) == 1 and int(found[0]) > count and set(present) <= {0, int(found[0])}:
        return (
            f"it looks like a black-and-white mask whose foreground is {found[0]}: give the "
            "category that id in a YAML of classes"
        )
    return "add them to the classes, or to the ignored ids"


def unknown_colors(strange: NDArray[np.int32], source: str) -> MaskFileError:
    """The error for colours without a category.

    Args:
        strange: the unknown colour, packed as 0xRRGGBB, of each pixel that has one.
        source: the mask's file.
    """
    found, counts = np.unique(strange, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    listed = ", ".join(f"{_color_name(int(found[i]))} ({counts[i]:,} px)" for i in order[:4])
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    grey = all(value % 0x010101 == 0 for value in found.tolist())
    if len(found) >= _MANY:
        cure = (
            "it looks blended by anti-aliasing, scaling or lossy compression: export masks as "
            "PNG without smoothing"
        )
    elif grey:
        cure = "the colors are grey: if they are ids, save the mask with one channel"
    else:
        cure = "add them to the classes as color, or to ignore"
    return MaskFileError(f"{source}: colors without a category: {listed}{more}: {cure}")


def _color_name(packed: int) -> str:
    return f"[{packed >> 16}, {packed >> 8 & 255}, {packed & 255}]"


def _ranges(ids: Iterable[int]) -> str:
    """Ids in few words: `0..10, 255`."""
    spans: list[list[int]] = []
    for value in sorted(ids):
        if spans and value == spans[-1][1] + 1:
            spans[-1][1] = value
        else:
            spans.append([value, value])
    texts = [f"{low}" if low == high else f"{low}..{high}" for low, high in spans]
    return ", ".join(texts[:_SHOWN]) + (" ..." if len(texts) > _SHOWN else "")
