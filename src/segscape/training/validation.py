"""Judge the model on whole validation images, each exactly once, on any number of processes."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from segscape.datasets.dataset import Dataset
from segscape.metrics.confusion import ConfusionMatrix
from segscape.metrics.scores import SegmentationScores
from segscape.models.semantic_model import SemanticModel
from segscape.ops.processes import alone, gather_over_processes
from segscape.structures import LabelMap, Sample
from segscape.training.training_batch import TrainingBatch

_AHEAD = 2


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Args:
        scores: over all images.
        loss: mean over the images of the loss of each.
        examples: the first images this process met, with the predictions for them.
    """

    scores: SegmentationScores
    loss: float
    examples: tuple[tuple[Sample[LabelMap], LabelMap], ...]

    @property
    def miou(self) -> float | None:
        """The mean IoU in [0, 1], None when no category occurs."""
        return None if math.isnan(self.scores.miou) else self.scores.miou


def validate(
    model: SemanticModel,
    dataset: Dataset[LabelMap],
    *,
    device: torch.device,
    precision: AbstractContextManager[object],
    channels_last: bool,
    rank: int = 0,
    processes: int = 1,
    examples: int = 0,
    limit: int | None = None,
) -> Validation:
    """Predict each image whole and compare it with its truth.

    Args:
        model: left in the mode it was in.
        dataset: whole images of any size, one at a time.
        device: where the model is.
        precision: under which the model computes.
        channels_last: memory layout of the images.
        rank: of this process; it judges every `processes`-th image.
        processes: how many share the work; all must call this.
        examples: how many images to keep for pictures.
        limit: judge only so many of the first images, 1 or more; None for all.

    Raises:
        SegscapeError: of a file that cannot be read.
    """
    confusion = ConfusionMatrix(dataset.taxonomy)
    losses: dict[str, float] = {}
    kept: list[tuple[Sample[LabelMap], LabelMap]] = []
    count = len(dataset) if limit is None else min(limit, len(dataset))
    was_training = model.training
    model.eval()
    with torch.inference_mode(), precision, alone():
        for sample in _read_ahead(dataset, range(rank, count, processes)):
            batch = TrainingBatch.stack([sample]).to(device)
            images = batch.images(channels_last=channels_last)
            outputs = model(images)
            terms = model.losses(outputs, batch.target())
            losses[sample.key] = float(sum(terms.values()))
            prediction = model.decode(outputs, images)[0]
            confusion.update(prediction, sample.target, sample.key)
            if len(kept) < examples:
                kept.append((sample, prediction))
    model.train(was_training)
    confusion.merge_over_processes()
    for others in gather_over_processes(losses):
        losses.update(others)
    # In the data set's order: sums in another order are other sums.
    mean = sum(losses[key] for key in dataset.keys[:count]) / count
    return Validation(confusion.compute(), mean, tuple(kept))


def _read_ahead(dataset: Dataset[LabelMap], indices: range) -> Iterator[Sample[LabelMap]]:
    """Decode the next images while the model works on this one."""
    with ThreadPoolExecutor(1) as reader:
        waiting = [reader.submit(dataset.__getitem__, index) for index in indices[:_AHEAD]]
        for place in range(len(indices)):
            sample = waiting.pop(0).result()
            if place + _AHEAD < len(indices):
                waiting.append(reader.submit(dataset.__getitem__, indices[place + _AHEAD]))
            yield sample
