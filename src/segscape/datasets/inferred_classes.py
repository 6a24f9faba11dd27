"""The classes of a data set that does not list them, where the masks leave no doubt."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from segscape.io.label_coding import LabelCoding
from segscape.io.mask_files import read_ids
from segscape.structures import DatasetError, Taxonomy
from segscape.structures.taxonomy import IGNORE_ID

# More ids than this without names are rather objects counted one by one.
MOST_CLASSES = 64
_SHOWN = 12


def infer_classes(
    masks: Sequence[Path], *, source: Path, ignore: Sequence[int] = ()
) -> LabelCoding:
    """Find out what ids all masks use: 0 and 255, or 0..n-1 with 255 as void.

    Exactly 0 and 255 become `background` and `foreground`; contiguous ids become `class 0`,
    `class 1` and so on. All masks are read, since a rare class may be in one of them only.

    Args:
        masks: the masks of every split, so that all splits agree.
        source: the data set's folder, for the errors.
        ignore: ids that mean void, and so name no class.

    Raises:
        DatasetError: for any other ids, saying what file to write.
        MaskFileError: when a mask cannot be read as ids.
    """
    with ThreadPoolExecutor() as threads:
        ids = sorted(set[int]().union(*threads.map(_ids_in, masks)) - set(ignore))
    if ids == [0, IGNORE_ID]:
        names = ["background", "foreground"]
        return LabelCoding(Taxonomy.from_names(names), (0, IGNORE_ID))
    classes = [value for value in ids if value != IGNORE_ID]
    count = len(classes)
    if classes == list(range(count)) and 2 <= count <= MOST_CLASSES:
        return LabelCoding.plain(Taxonomy.from_names([f"class {i}" for i in range(count)]))
    if count > MOST_CLASSES:
        cure = (
            f"{count} ids look like objects counted one by one; if they are classes, name them in "
            f"{source / 'classes.txt'}"
        )
    elif 0 in classes:
        cure = f"name each id in {source / 'classes.yaml'} (keys: name, id, color; ignore: [...])"
    else:
        cure = (
            f"0 never occurs, so name each id in {source / 'classes.yaml'} (keys: name, id, color; "
            "ignore: [...])"
        )
    shown = ", ".join(map(str, ids[:_SHOWN])) + (" ..." if len(ids) > _SHOWN else "")
    raise DatasetError(
        f"{source}: no classes.txt or classes.yaml, and the masks' ids {shown} do not speak for "
        f"themselves (0 and 255, or 0..n-1, would): {cure}"
    )


def _ids_in(path: Path) -> set[int]:
    return set(torch.unique(read_ids(path)).tolist())
