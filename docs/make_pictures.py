"""Make the pictures of the docs: `python docs/make_pictures.py RUN`, RUN of camvid_unet_cpu."""

import sys
from pathlib import Path

import torch

from segscape.datasets import open_dataset
from segscape.datasets.synthetic import SyntheticSemantic
from segscape.inference.segmenter import Segmenter
from segscape.io.image_files import write_image
from segscape.ops.resize import resize_image
from segscape.structures import Size
from segscape.visualize.figures import stacked
from segscape.visualize.overlay import difference, overlay, paint, side_by_side

HERE = Path(__file__).parent / "pictures"
SCENES = (12, 47, 83)


def camvid(run: Path) -> None:
    """Photograph, truth, prediction and difference of three validation images."""
    segment = Segmenter.load(run)
    samples = open_dataset("folder:camvid", split="val")
    rows: list[torch.Tensor] = []
    for index in SCENES:
        sample = samples[index]
        found = segment(sample.image)
        pictures = [
            sample.image,
            paint(sample.target),
            overlay(sample.image, found),
            difference(found, sample.target),
        ]
        small = [resize_image(picture, Size(180, 240)) for picture in pictures]
        captions = ["photograph", "truth", "prediction", "wrong in red"] if not rows else None
        rows.append(side_by_side(small, gap=4, captions=captions))
    write_image(HERE / "camvid.jpg", stacked(rows, gap=4))


def scenes() -> None:
    """Eight drawn scenes above their labels."""
    samples = [SyntheticSemantic(8, split="val")[index] for index in range(8)]
    rows = [
        side_by_side([show(sample) for sample in half], gap=4)
        for half in (samples[:4], samples[4:])
        for show in (lambda sample: sample.image, lambda sample: paint(sample.target))
    ]
    write_image(HERE / "scenes.jpg", stacked(rows, gap=4))


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    scenes()
    camvid(Path(sys.argv[1]))
