"""Validation judges every image once, on one process or several."""

from contextlib import nullcontext

import pytest
import torch
from tests.support.processes import run_in_processes
from tests.support.training_runs import tiny_recipe

from segscape.datasets.synthetic import SyntheticSemantic
from segscape.metrics.confusion import confusion_counts
from segscape.structures import ImageBatch, LabelMap, Size
from segscape.training.assembly import recipe_model
from segscape.training.validation import Validation, validate

SCENES = SyntheticSemantic(3, size=Size(40, 48))


def _validate(rank: int = 0, processes: int = 1) -> Validation:
    torch.manual_seed(0)
    model = recipe_model(tiny_recipe(), SCENES).train()
    found = validate(
        model,
        SCENES,
        device=torch.device("cpu"),
        precision=nullcontext(),
        channels_last=False,
        rank=rank,
        processes=processes,
        examples=2,
    )
    assert model.training
    return found


def test_counts_equal_one_prediction_at_a_time():
    found = _validate()
    torch.manual_seed(0)
    model = recipe_model(tiny_recipe(), SCENES).eval()
    total = torch.zeros_like(found.scores.matrix)
    with torch.inference_mode():
        for index in range(3):
            sample = SCENES[index]
            images = ImageBatch.stack([sample.image])
            predicted: LabelMap = model.decode(model(images), images)[0]
            total += confusion_counts(
                predicted.labels, sample.target.labels, len(SCENES.taxonomy), 255
            )
    assert torch.equal(found.scores.matrix, total)
    assert [sample.key for sample, _ in found.examples] == list(SCENES.keys[:2])
    assert found.miou == pytest.approx(found.scores.miou)


def _share(rank: int, world: int) -> tuple[list[list[int]], float]:
    torch.set_num_threads(1)
    found = _validate(rank, world)
    return found.scores.matrix.tolist(), found.loss


def test_two_processes_with_an_odd_number_of_images_agree():
    shared = run_in_processes(_share)
    assert shared[0] == shared[1]
    threads = torch.get_num_threads()
    try:
        assert _share(0, 1) == shared[0]
    finally:
        torch.set_num_threads(threads)
