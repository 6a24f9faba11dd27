"""Which layouts there are, and what a data set is called on the command line: `LAYOUT:ROOT`."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segscape.datasets import bsds500, cityscapes, folder, voc
from segscape.datasets.given_classes import Classes
from segscape.datasets.pairing import Listing, some
from segscape.datasets.roots import find_root
from segscape.datasets.scenes.draw import STREAMS
from segscape.io.label_coding import LabelCoding
from segscape.structures import DatasetError

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Layout:
    """How files of one layout are found and read.

    Args:
        found_in: whether a folder has this layout.
        looks_for: the folders that tell it.
        split_names: the splits of a root.
        list_files: the pairs of a root's split.
        coding_of: from root, split, classes and ignored ids, what the masks' ids mean.
    """

    found_in: Callable[[Path], bool]
    looks_for: str
    split_names: Callable[[Path], tuple[str, ...]]
    list_files: Callable[[Path, str], Listing]
    coding_of: Callable[[Path, str, Classes, Sequence[int]], LabelCoding]


# The order is that of detection: `folder` is the least particular.
LAYOUTS: dict[str, Layout] = {
    "voc": Layout(voc.found_in, voc.LOOKS_FOR, voc.split_names, voc.list_files, voc.coding_of),
    "cityscapes": Layout(
        cityscapes.found_in,
        cityscapes.LOOKS_FOR,
        cityscapes.split_names,
        cityscapes.list_files,
        cityscapes.coding_of,
    ),
    "folder": Layout(
        folder.found_in,
        folder.LOOKS_FOR,
        folder.split_names,
        folder.list_files,
        folder.coding_of,
    ),
}


@dataclass(frozen=True)
class Place:
    """A data set on disk: its folder and the name of its layout in `LAYOUTS`."""

    root: Path
    name: str

    @property
    def layout(self) -> Layout:
        """How its files are found and read."""
        return LAYOUTS[self.name]


def is_synthetic(spec: str) -> bool:
    """Whether a data set is drawn: `synthetic` or `synthetic:` with options."""
    return spec == SYNTHETIC or spec.startswith(f"{SYNTHETIC}:")


def place_of(spec: str) -> Place:
    """Find the folder and the layout that `LAYOUT:ROOT`, or ROOT alone, names.

    Raises:
        DatasetError: for an unknown layout, a folder that is nowhere, or one whose layout cannot be
            told, saying what was looked for.
    """
    name, colon, rest = spec.partition(":")
    # One letter is a Windows drive.
    if colon and len(name) > 1 and not Path(spec).exists():
        if name == bsds500.NAME:
            raise DatasetError(_unnamed_regions(spec))
        if name not in LAYOUTS:
            known = (*LAYOUTS, SYNTHETIC)
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
            raise DatasetError(f"data '{spec}': unknown layout '{name}': {hint}")
        if not rest:
            raise DatasetError(f"data '{spec}': names no folder: write {name}:FOLDER")
        return Place(find_root(rest), name)
    if not spec:
        raise DatasetError("data: no folder is named: write FOLDER or LAYOUT:FOLDER")
    root = find_root(spec)
    if bsds500.found_in(root):
        raise DatasetError(_unnamed_regions(spec))
    for name, layout in LAYOUTS.items():
        if layout.found_in(root):
            return Place(root, name)
    inside = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
    looked = "; ".join(f"{layout.looks_for} ({name})" for name, layout in LAYOUTS.items())
    raise DatasetError(
        f"{root}: cannot tell the layout: looked for {looked}; found {some(inside) or 'nothing'}: "
        "arrange the files in one of these ways"
    )


def _unnamed_regions(spec: str) -> str:
    return (
        f"data '{spec}': holds regions that people drew, no categories to learn or to judge: "
        f"score a method on it by 'segscape evaluate --method NAME --data {bsds500.NAME}:...'"
    )


def split_names(spec: str) -> tuple[str, ...]:
    """The splits of a data set.

    Raises:
        DatasetError: when the data set cannot be found.
    """
    if is_synthetic(spec):
        return tuple(STREAMS)
    place = place_of(spec)
    return tuple(place.layout.split_names(place.root))
