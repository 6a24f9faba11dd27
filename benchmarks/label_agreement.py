"""How many labels of trained networks are the same in bf16 and in float32.

`python -m benchmarks.label_agreement IMAGES RUN...` predicts every `EACH`th image of a folder with
each run in both precisions, as `segscape predict` does, and prints the share of equal pixels. It
fails where that is less than `LEAST`, as it is for networks that unpool by switches: of two nearly
equal maxima rounding may choose the other, and the value is then put a pixel aside.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from segscape.inference.segmenter import Segmenter
from segscape.io.image_files import find_images, read_image

EACH, LEAST = 5, 0.995


@dataclass(frozen=True)
class Agreement:
    """Shares of pixels with equal labels.

    Args:
        mean: over images.
        lowest: of one image.
    """

    mean: float
    lowest: float


def agreement(run: Path, images: tuple[Path, ...]) -> Agreement:
    """Compare the labels of a run in both precisions on some images."""
    low, full = (Segmenter.load(run, precision=precision) for precision in ("bf16", "fp32"))
    shares: list[float] = []
    for path in images:
        image = read_image(path)
        shares.append(float((low(image).labels == full(image).labels).float().mean()))
    return Agreement(sum(shares) / len(shares), min(shares))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_agreement")
    parser.add_argument("images", type=Path, help="a folder of images")
    parser.add_argument("runs", type=Path, nargs="+", help="folders that `segscape train` wrote")
    options = parser.parse_args()
    chosen = find_images(options.images)[::EACH]
    below: list[str] = []
    for folder in options.runs:
        found = agreement(folder, chosen)
        print(
            f"{folder.name:<32} {found.mean:.2%} of the pixels, {found.lowest:.2%} in the worst "
            f"of {len(chosen)} images",
            flush=True,
        )
        if found.mean < LEAST:
            below.append(folder.name)
    if below:
        raise SystemExit(f"less than {LEAST:.1%}: {', '.join(below)}")
