"""The plain layout: a folder `images` and a folder `masks`, matched by stem.

```
root/images/a.jpg          root/train/images/a.jpg        root/images/train/a.jpg
root/masks/a.png           root/train/masks/a.png         root/masks/train/a.png
root/classes.txt           root/classes.txt               root/classes.txt
```

In the first form a list of stems in `root/train.txt` or `root/splits/train.txt` makes a split;
without lists, `train`, `val` and `all` (and folds as `val@2/5`) part the sorted files as
`split_parts` says. Masks may also end in `_mask` or `_labels`. Classes come from `classes.txt`,
`classes.yaml` or `classes.yml` in the root or beside the split's images, else from the masks when
those leave no doubt.
"""

from collections.abc import Sequence
from pathlib import Path

from segscape.datasets.given_classes import Classes, given_coding, ignoring
from segscape.datasets.inferred_classes import infer_classes
from segscape.datasets.paired_files import PairedFiles
from segscape.datasets.pairing import Listing, pair_by_stem, some
from segscape.datasets.split_parts import is_part, part_of
from segscape.io.image_files import find_images
from segscape.io.label_coding import LabelCoding
from segscape.structures import DatasetError

CLASS_FILES = ("classes.txt", "classes.yaml", "classes.yml")
LOOKS_FOR = "images/ and masks/, or train/images/ and train/masks/"
# Text files that stand beside the images but list no split.
_OTHER_TEXTS = ("classes", "readme", "license", "licence", "labels", "requirements")


class FolderDataset(PairedFiles):
    """Images and masks of one split of a folder.

    Args:
        root: the folder.
        split: name of a split, see `split_names`.
        classes: a file of classes, or the same inline; found in the folder when not given.
        ignore: ids in the masks that mean void, beside those that the classes say.

    Raises:
        DatasetError: for missing or empty folders, an unknown split, files that do not pair up,
            stems that repeat, or classes that are neither given nor plain to see.
        MaskFileError: when classes are inferred and a mask cannot be read.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "train",
        classes: Classes = None,
        ignore: Sequence[int] = (),
    ) -> None:
        root = Path(root)
        listing = list_files(root, split)
        if listing.problems:
            raise DatasetError(listing.problems[0])
        super().__init__(
            listing.pairs, coding_of(root, split, classes, ignore), source=f"{root} ({split})"
        )


def found_in(root: Path) -> bool:
    """Whether a folder has this layout."""
    return (root / "images").is_dir() or bool(_split_folders(root))


def split_names(root: Path) -> tuple[str, ...]:
    """The splits of a folder: its split folders, else its list files, else train, val and all."""
    return _split_folders(root) or _nested_folders(root) or tuple(_list_files(root)) or _PARTS


def list_files(root: Path, split: str) -> Listing:
    """Find the pairs of one split.

    Raises:
        DatasetError: for missing or empty folders or an unknown split.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder: check the name")
    if not found_in(root):
        inside = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
        raise DatasetError(
            f"{root}: expected {LOOKS_FOR}; found {some(inside) or 'an empty folder'}: sort the "
            "files into these folders"
        )
    folders = _folders_of(root, split)
    if folders is not None:
        return _pairs_in(*folders)
    names = split_names(root)
    listed = _list_files(root)
    if split in listed:
        return _listed(_pairs_in(root / "images", root / "masks"), listed[split])
    if names == _PARTS and is_part(split):
        everything = _pairs_in(root / "images", root / "masks")
        chosen = part_of(everything.pairs, split, source=str(root))
        return Listing(chosen, everything.problems)
    raise DatasetError(
        f"{root}: has no split '{split}': it has {', '.join(names)}"
        + (" and folds such as val@2/5" if names == _PARTS else "")
        + ": choose one of these"
    )


def coding_of(
    root: Path,
    split: str,
    classes: Classes = None,
    ignore: Sequence[int] = (),
) -> LabelCoding:
    """What the ids in the masks mean: as given, by a file of classes, or inferred from all masks.

    Raises:
        DatasetError: when the classes are malformed, or neither given nor plain to see.
        MaskFileError: when classes are inferred and a mask cannot be read.
    """
    given = class_file(root, split) if classes is None else classes
    if given is None:
        own = infer_classes(_all_masks(root), source=root, ignore=ignore)
    else:
        own = given_coding(given)
    return ignoring(own, ignore)


def class_file(root: Path, split: str) -> Path | None:
    """The file of classes in the root or the split's folder, if there is one."""
    for folder in (root, root / split):
        for name in CLASS_FILES:
            if (folder / name).is_file():
                return folder / name
    return None


_PARTS = ("train", "val", "all")


def _split_folders(root: Path) -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in root.glob("*/images") if path.is_dir()))


def _nested_folders(root: Path) -> tuple[str, ...]:
    return tuple(
        sorted(
            path.name
            for path in (root / "images").glob("*")
            if path.is_dir() and (root / "masks" / path.name).is_dir()
        )
    )


def _list_files(root: Path) -> dict[str, Path]:
    """The split lists of a folder by name."""
    if not (root / "images").is_dir():
        return {}
    found = sorted((*root.glob("*.txt"), *(root / "splits").glob("*.txt")))
    return {path.stem: path for path in found if path.stem.lower() not in _OTHER_TEXTS}


def _folders_of(root: Path, split: str) -> tuple[Path, Path] | None:
    if split in _split_folders(root):
        return root / split / "images", root / split / "masks"
    if split in _nested_folders(root):
        return root / "images" / split, root / "masks" / split
    return None


def _all_masks(root: Path) -> list[Path]:
    names = _split_folders(root) or _nested_folders(root)
    folders = [found for name in names if (found := _folders_of(root, name))]
    masks = [masks for _, masks in folders] or [root / "masks"]
    return [path for folder in masks if folder.is_dir() for path in find_images(folder)]


def _pairs_in(images: Path, masks: Path) -> Listing:
    for folder, what in ((images, "images"), (masks, "masks")):
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder: put the {what} there")
        if not find_images(folder):
            raise DatasetError(f"{folder}: holds no {what}: put image files there")
    listing = pair_by_stem(images, masks)
    if not listing.pairs:
        one, other = find_images(images)[0].name, find_images(masks)[0].name
        raise DatasetError(
            f"{images}: no image has a mask in {masks}: images are named like {one}, masks like "
            f"{other}: give each mask its image's stem"
        )
    return listing


def _listed(everything: Listing, path: Path) -> Listing:
    """Keep what a list names, as stems or file names, in sorted order."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read as text ({error})") from error
    by_name = {pair.key: pair for pair in everything.pairs}
    by_name |= {pair.image.name: pair for pair in everything.pairs}
    wanted = [line for line in dict.fromkeys(lines) if line and not line.startswith("#")]
    if not wanted:
        raise DatasetError(f"{path}: lists nothing: write one stem per line")
    missing = [line for line in wanted if line not in by_name]
    chosen = {by_name[line].key: by_name[line] for line in wanted if line in by_name}
    problems: list[str] = []
    if missing:
        problems.append(
            f"{path}: {len(missing)} of {len(wanted)} names have no pair of image and mask: "
            f"{some(missing)}: correct the list or add the files"
        )
    if not chosen:
        raise DatasetError(problems[0])
    return Listing(tuple(chosen[key] for key in sorted(chosen)), tuple(problems))
