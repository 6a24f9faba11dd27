"""Pictures of a training: what goes in, and what comes out beside what should."""

from collections.abc import Sequence
from pathlib import Path

import torch

from segscape.io.image_files import write_image
from segscape.structures import LabelMap, Sample, Taxonomy
from segscape.training.training_batch import TrainingBatch
from segscape.visualize.overlay import overlay, side_by_side

PREVIEWS = "previews"
_SHOWN = 8


def write_first_batch(run: Path, batch: TrainingBatch, taxonomy: Taxonomy) -> None:
    """Draw images of a training batch, after augmentation, with their labels laid over.

    Raises:
        OutputError: when the picture cannot be written.
    """
    pictures = []
    for place in range(min(len(batch.keys), _SHOWN)):
        labels = LabelMap(batch.labels[place], taxonomy)
        pictures.append(overlay(_rgb(batch.pixels[place]), labels))
    write_image(
        run / PREVIEWS / "first_batch.png", side_by_side(pictures, captions=batch.keys[:_SHOWN])
    )


def write_validation(
    run: Path, step: int, examples: Sequence[tuple[Sample[LabelMap], LabelMap]]
) -> None:
    """Draw image, truth and prediction side by side, one picture per example.

    Raises:
        OutputError: when a picture cannot be written.
    """
    for place, (sample, prediction) in enumerate(examples):
        image = _rgb(sample.image)
        row = [image, overlay(image, sample.target), overlay(image, prediction)]
        picture = side_by_side(row, captions=(sample.key, "truth", "prediction"))
        write_image(run / PREVIEWS / f"step_{step:06d}_{place}.png", picture)


def _rgb(image: torch.Tensor) -> torch.Tensor:
    return image.expand(3, -1, -1) if len(image) == 1 else image[:3]
