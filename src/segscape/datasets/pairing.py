"""Which mask belongs to which image, and what to say when that is unclear."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segscape.io.image_files import find_images

# What annotation tools append to an image's name for its mask.
MASK_ENDINGS = ("_mask", "_masks", "_label", "_labels")
SHOWN = 3


@dataclass(frozen=True)
class Pair:
    """An image file and its mask, with the name the sample goes by."""

    key: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class Listing:
    """The pairs of one split, and what is wrong with the files around them.

    Args:
        pairs: sorted by key.
        problems: one line each, with counts, examples and the cure.
    """

    pairs: tuple[Pair, ...]
    problems: tuple[str, ...] = ()


def some(names: Sequence[str]) -> str:
    """The first few names and how many more there are.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def pair_by_stem(images: Path, masks: Path) -> Listing:
    """Match the files of two folders by their names without suffix.

    A mask goes with the image of its stem, or of its stem without an ending such as `_mask` when
    no image has the full stem.

    Raises:
        ImageFileError: when a folder is missing or cannot be listed.
    """
    problems: list[str] = []
    image_files = _by_stem(find_images(images), "images", problems)
    mask_files: dict[str, list[Path]] = {}
    strays: list[Path] = []
    for path in find_images(masks):
        stem = _image_stem(path.stem, image_files)
        if stem is None:
            strays.append(path)
        else:
            mask_files.setdefault(stem, []).append(path)
    doubles = {stem: paths for stem, paths in mask_files.items() if len(paths) > 1}
    if doubles:
        examples = [f"{stem} ({', '.join(p.name for p in ps)})" for stem, ps in doubles.items()]
        problems.append(
            f"{masks}: {_count(len(doubles), 'image')} with two masks or more: "
            f"{some(examples)}: keep one mask per image"
        )
    alone = [path.name for stem, path in image_files.items() if stem not in mask_files]
    if alone:
        problems.append(
            f"{images}: {len(alone)} of {_count(len(image_files), 'image')} without a mask in "
            f"{masks}: {some(alone)}: give each a mask of the same stem, or move them away"
        )
    if strays:
        total = len(strays) + sum(len(paths) for paths in mask_files.values())
        problems.append(
            f"{masks}: {len(strays)} of {_count(total, 'mask')} without an image in {images}: "
            f"{some([path.name for path in strays])}: give each an image of the same stem, or move "
            "them away"
        )
    pairs = tuple(
        Pair(stem, path, mask_files[stem][0])
        for stem, path in sorted(image_files.items())
        if stem in mask_files
    )
    return Listing(pairs, tuple(problems))


def _by_stem(paths: Sequence[Path], what: str, problems: list[str]) -> dict[str, Path]:
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(path.stem, []).append(path)
    doubles = [paths for paths in found.values() if len(paths) > 1]
    if doubles:
        examples = [" and ".join(path.name for path in paths) for paths in doubles]
        problems.append(
            f"{doubles[0][0].parent}: {_count(len(doubles), 'stem')} shared by several {what}: "
            f"{some(examples)}: masks are found by stem, so rename or delete all but one"
        )
    strange = [repr(stem) for stem in found if not _is_text(stem)]
    if strange:
        problems.append(
            f"{paths[0].parent}: {_count(len(strange), 'name')} of {what} that are not text in "
            f"UTF-8: {some(strange)}: rename them"
        )
    return {stem: paths[0] for stem, paths in found.items()}


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of another encoding
        return False
    return True


def _image_stem(stem: str, images: dict[str, Path]) -> str | None:
    if stem in images:
        return stem
    for ending in MASK_ENDINGS:
        if stem.endswith(ending) and stem.removesuffix(ending) in images:
            return stem.removesuffix(ending)
    return None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
