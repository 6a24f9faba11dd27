"""Small data sets on disk."""

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("sky", "road", "car")


def noise_image(seed: int, height: int = 40, width: int = 48) -> np.ndarray:
    """An image that is like no other: coarse random blocks."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)[:height, :width]


def striped_mask(height: int = 40, width: int = 48, ids: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    """Equal columns of each id."""
    return np.broadcast_to(
        np.array(ids, np.uint8)[np.arange(width) * len(ids) // width], (height, width)
    ).copy()


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write an array as an image, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def labelled_folder(
    root: Path,
    splits: dict[str, int] | None = None,
    *,
    names: tuple[str, ...] | None = NAMES,
    ids: tuple[int, ...] = (0, 1, 2),
) -> Path:
    """Write `root/SPLIT/images/*.png` with masks and classes.txt; a healthy data set."""
    seed = 0
    for split, count in (splits or {"train": 4, "val": 2}).items():
        for index in range(count):
            seed += 1
            save(root / split / "images" / f"{split}{index}.png", noise_image(seed))
            save(root / split / "masks" / f"{split}{index}.png", striped_mask(ids=ids))
    if names is not None:
        (root / "classes.txt").write_text("\n".join(names) + "\n")
    return root


def flat_folder(root: Path, count: int, *, ids: tuple[int, ...] = (0, 1, 2)) -> Path:
    """Write `root/images` and `root/masks` without a split."""
    for index in range(count):
        save(root / "images" / f"{index:02d}.png", noise_image(index))
        save(root / "masks" / f"{index:02d}.png", striped_mask(ids=ids))
    return root
