import itertools
import json

import numpy as np
import pytest
import torch

from segscape.metrics.confusion import ConfusionMatrix
from segscape.metrics.paired import paired_difference
from segscape.metrics.scores import SegmentationScores
from segscape.structures import LabelMap, StructureError, Taxonomy

TAXONOMY = Taxonomy.from_names(["sky", "road", "car"])


def noisy(truths: list[torch.Tensor], share: float, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.where(
            torch.rand(truth.shape, generator=generator) < share,
            torch.randint(0, 3, truth.shape, generator=generator, dtype=torch.uint8),
            truth,
        )
        for truth in truths
    ]


def truths_of(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    return [
        torch.randint(0, 3, (8, 9), generator=generator, dtype=torch.uint8) for _ in range(count)
    ]


def scored(truths: list[torch.Tensor], answers: list[torch.Tensor]) -> SegmentationScores:
    matrix = ConfusionMatrix(TAXONOMY)
    for number, (truth, answer) in enumerate(zip(truths, answers, strict=True)):
        matrix.update(LabelMap(answer, TAXONOMY), LabelMap(truth, TAXONOMY), f"{number:03d}")
    return matrix.compute()


def miou(counts: np.ndarray) -> float:
    hits, true, predicted = counts
    return float(np.mean(hits / (true + predicted - hits)))


def test_the_p_value_is_that_of_all_exchanges():
    """Seven images have 128 exchanges: all of them against ten thousand random ones."""
    truths = truths_of(7)
    one = scored(truths, noisy(truths, 0.3, 1))
    other = scored(truths, noisy(truths, 0.4, 2))
    a, b = (
        np.stack([c.hits, c.true, c.predicted]).astype(float)
        for c in (one.image_counts, other.image_counts)
    )
    seen = abs(one.miou - other.miou)
    as_far = 0
    for coins in itertools.product([False, True], repeat=7):
        swap = np.array(coins)[None, :, None]
        left, right = np.where(swap, b, a).sum(1), np.where(swap, a, b).sum(1)
        as_far += abs(miou(left) - miou(right)) >= seen - 1e-12
    assert paired_difference(one, other).p_value == pytest.approx(as_far / 128, abs=0.02)


def test_an_interval_of_the_difference_is_narrower_than_either_when_images_are_hard_for_both():
    truths = truths_of(40)
    shares = np.linspace(0, 0.9, 40)
    both = [noisy([t], s, i)[0] for i, (t, s) in enumerate(zip(truths, shares, strict=True))]
    one = scored(truths, both)
    other = scored(truths, noisy(both, 0.05, 99))
    found = paired_difference(one, other)
    intervals = one.bootstrap()
    assert intervals is not None
    alone = intervals.miou
    assert found.miou == pytest.approx(one.miou - other.miou)
    assert found.miou_interval.low > 0
    width = found.miou_interval.high - found.miou_interval.low
    assert width < 0.3 * (alone.high - alone.low)
    assert found.p_value < 0.01
    assert found.images_won > 3 * found.images_lost
    assert found.images_won + found.images_lost <= 40


def test_the_same_answers_differ_by_nothing():
    truths = truths_of(5)
    scores = scored(truths, noisy(truths, 0.3, 1))
    found = paired_difference(scores, scores)
    assert (found.miou, found.p_value) == (0, 1)
    assert (found.miou_interval.low, found.miou_interval.high) == (0, 0)
    assert (found.images_won, found.images_lost) == (0, 0)


def test_turned_around_only_the_signs_change():
    truths = truths_of(12)
    one, other = scored(truths, noisy(truths, 0.2, 1)), scored(truths, noisy(truths, 0.3, 2))
    there, back = paired_difference(one, other), paired_difference(other, one)
    assert there.miou == -back.miou
    assert there.miou_interval.low == pytest.approx(-back.miou_interval.high)
    assert there.p_value == pytest.approx(back.p_value)
    np.testing.assert_allclose(there.class_iou, -np.array(back.class_iou))


def test_chance_alone_gives_small_p_values_as_rarely_as_it_should():
    truths = truths_of(20)
    small = 0
    for seed in range(60):
        one = scored(truths, noisy(truths, 0.3, 2 * seed))
        other = scored(truths, noisy(truths, 0.3, 2 * seed + 1))
        small += paired_difference(one, other, samples=1, swaps=400).p_value <= 0.1
    assert 1 <= small <= 15  # 6 expected; outside this with a chance below 1 in 1000


def test_other_images_truths_and_options_are_refused():
    truths = truths_of(4)
    scores = scored(truths, truths)
    with pytest.raises(StructureError, match=r"4 images and 3 in the reference"):
        paired_difference(scores, scored(truths[:3], truths[:3]))
    with pytest.raises(StructureError, match="other truths"):
        paired_difference(scores, scored(truths_of(5)[1:], truths))
    with pytest.raises(StructureError, match="got level"):
        paired_difference(scores, scores, level=1.0)
    with pytest.raises(StructureError, match="samples=0"):
        paired_difference(scores, scores, samples=0)


def test_json_has_no_nan():
    truths = [torch.zeros(4, 4, dtype=torch.uint8)] * 2
    found = paired_difference(scored(truths, truths), scored(truths, truths))
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["class_iou"] == [0, None, None]


@pytest.mark.parametrize(("images", "drawn"), [(1, False), (4, False), (5, True)])
def test_few_images_have_no_interval(images, drawn):
    truths = truths_of(images)
    found = paired_difference(scored(truths, noisy(truths, 0.2, 1)), scored(truths, truths))
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    bounds = [plain["miou_interval"], *plain["class_iou_intervals"]]
    assert all((one["low"] is not None) == (one["high"] is not None) == drawn for one in bounds)
    assert found.miou < 0
    assert 0 < found.p_value <= 1
