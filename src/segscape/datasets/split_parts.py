"""The deterministic partition of data that come without a split."""

import re
from collections.abc import Sequence
from typing import TypeVar

from segscape.structures import DatasetError

Item = TypeVar("Item")
FOLDS = 5
_FOLD = re.compile(r"(train|val)@(\d+)/(\d+)")


def is_part(split: str) -> bool:
    """Whether a split's name says how to divide: train, val, all, train@k/n or val@k/n.

    >>> is_part("val@2/5"), is_part("test")
    (True, False)
    """
    return split in ("train", "val", "all") or _FOLD.fullmatch(split) is not None


def part_of(items: Sequence[Item], split: str, *, source: str) -> tuple[Item, ...]:
    """Take a part of sorted items.

    `val@k/n` is every n-th item from the k-th on (k from 1), `train@k/n` all others, `val` and
    `train` are those of 1/5, `all` is everything. Neighbours in sorted order, such as frames of one
    film, are often alike: for those a split by folder is the honest one.

    Raises:
        DatasetError: for a fold that does not exist or a part that would be empty.

    >>> part_of("abcdefg", "val", source=""), part_of("abcd", "train@2/2", source="")
    (('a', 'f'), ('a', 'c'))
    """
    if split == "all":
        return tuple(items)
    match = _FOLD.fullmatch(split)
    side, fold, folds = (match[1], int(match[2]), int(match[3])) if match else (split, 1, FOLDS)
    if not 1 <= fold <= folds or folds < 2:
        raise DatasetError(
            f"{source}: split '{split}' names fold {fold} of {folds}: count folds from 1, as "
            f"{side}@1/{FOLDS}"
        )
    chosen = tuple(
        item
        for position, item in enumerate(items)
        if (position % folds == fold - 1) == (side == "val")
    )
    if not chosen and items:
        raise DatasetError(
            f"{source}: {len(items)} images are too few for the split '{split}': give more, or use "
            "the split 'all'"
        )
    return chosen
