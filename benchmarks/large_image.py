"""Peak memory of predicting an image far larger than memory should have to hold.

A tiled TIFF is written by windows, then predicted in a process of its own with a small U-Net. What
counts is the peak of that process above what it held with the model loaded and used once.

    python -m benchmarks.large_image          10,000 x 10,000
    python -m benchmarks.large_image --full   30,000 x 30,000, the promise: at most 2 GiB

No peer is measured: the tools that people use instead hold image and scores as a whole, which for
30,000 x 30,000 pixels and 11 categories in float32 is 42 GB.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from segscape.inference.segmenter import Segmenter

CATEGORIES = 11
SIDE, FULL_SIDE = 10_000, 30_000
LIMIT = 2.0
TILE = 512
CROP, LEAST_AGREEMENT = 1536, 0.95


def run(*, full: bool = False) -> dict[str, float]:
    """Write, predict and judge one large image; print and return the numbers.

    Raises:
        SystemExit: when the peak exceeds 2 GiB or the labels are not those of the image.
    """
    side = FULL_SIDE if full else SIDE
    with tempfile.TemporaryDirectory(prefix="segscape-large-") as name:
        folder = Path(name)
        image = folder / "large.tif"
        began = perf_counter()
        write_image(image, side)
        print(f"{side:,} x {side:,} pixels written in {perf_counter() - began:.0f} s")
        command = [sys.executable, "-m", "benchmarks.large_image", "--child", str(folder)]
        child = subprocess.run(command, capture_output=True, text=True, check=True)
        result: dict[str, float] = json.loads(child.stdout.splitlines()[-1])
        result["agreement"] = agreement_in_the_middle(folder, side)
    print(
        f"peak above the model: {result['peak_gib']:.2f} GiB (at most {LIMIT:.0f}); the model and "
        f"its libraries: {result['base_gib']:.2f} GiB; {result['seconds']:.0f} s, "
        f"{side * side / 1e6 / result['seconds']:.2f} megapixels/s"
    )
    print(f"labels in the middle equal to those of a crop scored whole: {result['agreement']:.2%}")
    if result["agreement"] < LEAST_AGREEMENT:
        raise SystemExit("the labels in the file are not those of the image")
    if result["peak_gib"] > LIMIT:
        raise SystemExit(f"the peak of {result['peak_gib']:.2f} GiB exceeds {LIMIT:.0f} GiB")
    return result


def write_image(path: Path, side: int) -> None:
    """Write a tiled, compressed TIFF of slow waves and noise, one tile in memory at a time."""
    import tifffile

    noise = np.random.default_rng(0).integers(0, 40, (TILE, TILE, 3), np.uint8)

    def tiles() -> Iterator[NDArray[np.uint8]]:
        for top in range(0, side, TILE):
            for left in range(0, side, TILE):
                yield tile_at(top, left, noise)

    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(
            tiles(),
            shape=(side, side, 3),
            dtype=np.uint8,
            tile=(TILE, TILE),
            photometric="rgb",
            compression="deflate",
        )


def tile_at(top: int, left: int, noise: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels of one tile: a function of its place."""
    rows = np.arange(top, top + TILE)[:, None] / 900
    columns = np.arange(left, left + TILE)[None] / 1300
    waves = [np.sin(rows + phase) * np.cos(columns - phase) for phase in (0.0, 1.0, 2.0)]
    return (np.stack(waves, 2) * 100 + 105).astype(np.uint8) + noise


def build_segmenter() -> Segmenter:
    """A small U-Net with random weights; the same in every process."""
    import torch

    from segscape.encoders import build_encoder
    from segscape.inference.segmenter import Segmenter
    from segscape.models.semantic.encoder_unet import EncoderUNet
    from segscape.structures import Taxonomy

    torch.manual_seed(0)
    taxonomy = Taxonomy.from_names([f"category {index}" for index in range(CATEGORIES)])
    encoder = build_encoder("resnet18", in_channels=3, output_stride=32, weights=None)
    return Segmenter(EncoderUNet(taxonomy, encoder, decoder_channels=(64, 32, 24, 16, 8)))


def predict(folder: Path) -> None:
    """Predict in this process and print its memory as JSON."""
    import psutil
    import torch

    from segscape.inference.predict import predict_files

    segmenter = build_segmenter()
    segmenter(torch.zeros(3, 64, 64, dtype=torch.uint8))
    base = psutil.Process().memory_info().rss
    began = perf_counter()
    summary = predict_files(
        segmenter, [folder / "large.tif"], folder / "out", formats=["png", "json"]
    )
    seconds = perf_counter() - began
    if summary.predicted != 1:
        raise SystemExit(str(summary.failures))
    peak = peak_bytes()
    print(
        json.dumps(
            {"peak_gib": (peak - base) / 2**30, "base_gib": base / 2**30, "seconds": seconds}
        )
    )


def peak_bytes() -> int:
    """The most memory this process ever held."""
    if sys.platform == "linux":
        # Not ru_maxrss, which starts at what the parent held.
        found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def agreement_in_the_middle(folder: Path, side: int) -> float:
    """The share of labels in the file that equal those of a crop scored whole.

    Windows see less around them than the crop does, so a few labels near their seams may differ.
    """
    from segscape.io.large_images import open_large
    from segscape.io.mask_files import read_stored
    from segscape.structures import LabelMap

    start = side // 2 // 32 * 32
    with open_large(folder / "large.tif") as image:
        crop = image.read(start, start, CROP, CROP)
    segmenter = build_segmenter()
    expected = LabelMap.from_scores(segmenter.scores(crop), segmenter.taxonomy).labels
    labels = read_stored(folder / "out" / "large.tif", pixel_limit=side * side)
    inner = slice(CROP // 4, 3 * CROP // 4)
    found = labels[start : start + CROP, start : start + CROP]
    return float((found[inner, inner] == expected[inner, inner]).float().mean())


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="30,000 x 30,000 pixels")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        predict(options.child)
    else:
        run(full=options.full)


if __name__ == "__main__":
    main()
