"""Which images to predict, and what their results are called."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segscape.io.image_files import IMAGE_SUFFIXES
from segscape.structures import ImageFileError, OutputError

ZARR = ".zarr"
# Files of our own in the output folder, which no result may be called.
RESERVED = frozenset({"segscape", "summary"})


@dataclass(frozen=True)
class Input:
    """One image to predict.

    Args:
        path: of the file, or of the folder of a Zarr image.
        name: where its results go below the output folder, without suffix.
    """

    path: Path
    name: Path


def find_inputs(inputs: Sequence[str | Path], out: str | Path) -> list[Input]:
    """Find the images that files, folders and patterns stand for, each once.

    Folders are searched with all their subfolders for known suffixes and `.zarr` folders; hidden
    files are left out. The names mirror the folder tree below the folder that all inputs share,
    and take the suffix along where two images differ in nothing else (`a.jpg`, `a.png`).

    Args:
        inputs: files, folders, or patterns with `*`, `?`, `[...]` and `**`.
        out: the output folder; inside an input folder it is not searched.

    Raises:
        ImageFileError: when an input does not exist or holds no image.
        OutputError: when the output folder is itself one of the image folders.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow links
    found: dict[Path, Path] = {}
    for given in inputs:
        for path, root in _expand(str(given), out):
            if root == out:
                raise OutputError(
                    f"{out}: is the folder of the images, where masks could replace them: "
                    "choose another --out"
                )
            found.setdefault(path, root)
    if not found:
        raise ImageFileError("no images were given: name files, folders or patterns as 'a/*.jpg'")
    shared = Path(os.path.commonpath([str(root) for root in found.values()]))
    return _named(list(found), shared)


def _expand(given: str, out: Path) -> Iterator[tuple[Path, Path]]:
    """Yield absolute paths of images and the folder from which each was asked for."""
    if not given.strip():
        raise ImageFileError("an image was given without a name: name a file, folder or pattern")
    path = Path(os.path.abspath(given))  # noqa: PTH100
    if path.is_dir() and path.suffix.lower() != ZARR:
        images = list(_below(path, out))
        if not images:
            raise ImageFileError(
                f"{given}: holds no images: expected files ending in "
                f"{', '.join(sorted(IMAGE_SUFFIXES))}, or {ZARR} folders"
            )
        yield from ((image, path) for image in images)
    elif path.exists():
        yield path, path.parent
    elif glob.has_magic(given):
        matches = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 - absolute patterns
        images = [Path(os.path.abspath(match)) for match in matches]  # noqa: PTH100
        images = [
            image
            for image in images
            if _is_image(image) and not _inside(image, out) and not _is_chunk(image)
        ]
        if not images:
            raise ImageFileError(f"{given}: no image matches this pattern: check the folder")
        yield from ((image, image.parent) for image in images)
    else:
        raise ImageFileError(f"{given}: no such file or folder: check the name")


def _below(folder: Path, out: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        place = Path(here)
        zarrs = sorted(name for name in folders if name.lower().endswith(ZARR))
        folders[:] = sorted(
            name
            for name in folders
            if name not in zarrs and name[0] != "." and not _inside(place / name, out)
        )
        for name in sorted([*files, *zarrs]):
            if name[0] != "." and _is_image(place / name):
                yield place / name


def _is_image(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix == ZARR if path.is_dir() else suffix in IMAGE_SUFFIXES


def _is_chunk(path: Path) -> bool:
    return any(parent.suffix.lower() == ZARR for parent in path.parents)


def _inside(path: Path, out: Path) -> bool:
    return path == out or out in path.parents


def _named(paths: Sequence[Path], shared: Path) -> list[Input]:
    names = [path.relative_to(shared) for path in paths]
    # Without regard to case: some file systems know no difference.
    seen = Counter(str(name.with_suffix("")).casefold() for name in names)
    return [
        Input(path, name if _is_taken(name, seen) else name.with_suffix(""))
        for path, name in zip(paths, names, strict=True)
    ]


def _is_taken(name: Path, seen: Counter[str]) -> bool:
    bare = str(name.with_suffix("")).casefold()
    return seen[bare] > 1 or bare in RESERVED
