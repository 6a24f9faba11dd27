import math

import numpy as np
import pytest

from segscape.metrics import bootstrap
from segscape.metrics.bootstrap import bootstrap_intervals, why_no_intervals
from segscape.metrics.ratios import iou, mean_over_categories


def intervals(hits, true, predicted, *, samples=1000, seed=0, level=0.95):
    found = bootstrap_intervals(
        np.array(hits),
        np.array(true),
        np.array(predicted),
        samples=samples,
        seed=seed,
        level=level,
        absent="exclude",
    )
    assert found is not None
    return found


def right_or_wrong(generator, images, share):
    """Images of one pixel each, right or wrong by a coin, and of one category."""
    hits = (generator.random((images, 1)) < share).astype(np.int64)
    return hits, np.ones((images, 1), np.int64), hits


def test_width_is_that_of_the_binomial():
    # The mean of n coins of share p deviates by sqrt(p (1 - p) / n).
    found = intervals(*right_or_wrong(np.random.default_rng(1), 400, 0.3), samples=4000)
    hits = right_or_wrong(np.random.default_rng(1), 400, 0.3)[0].mean()
    half = 1.96 * math.sqrt(hits * (1 - hits) / 400)
    assert found.pixel_accuracy.low == pytest.approx(hits - half, abs=0.006)
    assert found.pixel_accuracy.high == pytest.approx(hits + half, abs=0.006)


def test_intervals_hold_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(2)
    inside = 0
    for trial in range(200):
        found = intervals(
            *right_or_wrong(generator, 100, 0.5), samples=300, seed=trial, level=0.8
        ).pixel_accuracy
        inside += found.low <= 0.5 <= found.high
    # 160 of 200 are expected, with a deviation of 5.7; the discreteness adds a little.
    assert 140 <= inside <= 182


def test_equals_drawing_images_one_by_one():
    generator = np.random.default_rng(3)
    true = generator.integers(0, 30, (6, 3))
    hits = generator.integers(0, true + 1)
    predicted = hits + generator.integers(0, 20, (6, 3))
    drawn = np.random.default_rng(9).integers(6, size=(50, 6))
    mious, accuracies, class_ious = [], [], []
    for images in drawn:
        sums = [np.stack([part[i] for i in images]).sum(0) for part in (hits, true, predicted)]
        class_ious.append(iou(*sums))
        mious.append(float(mean_over_categories(iou(*sums), "exclude")))
        accuracies.append(sums[0].sum() / sums[1].sum())
    found = intervals(hits, true, predicted, samples=50, seed=9, level=0.9)
    bounds = [0.05, 0.95]
    assert [found.miou.low, found.miou.high] == pytest.approx(np.quantile(mious, bounds).tolist())
    assert [found.pixel_accuracy.low, found.pixel_accuracy.high] == pytest.approx(
        np.quantile(accuracies, bounds).tolist()
    )
    expected = np.quantile(np.array(class_ious), bounds, axis=0).T
    assert [[one.low, one.high] for one in found.class_iou] == [
        pytest.approx(row.tolist()) for row in expected
    ]


def test_blocks_of_draws_change_nothing(monkeypatch):
    data = right_or_wrong(np.random.default_rng(4), 50, 0.5)
    whole = intervals(*data, samples=101)
    monkeypatch.setattr(bootstrap, "_BLOCK", 50 * 7)
    assert intervals(*data, samples=101) == whole


def test_fewer_than_five_images_have_no_intervals():
    counts = np.array([[3, 0]] * 5)
    options = {"samples": 5, "seed": 0, "level": 0.95, "absent": "exclude"}
    for images in range(1, 6):
        few = [counts[:images]] * 3
        assert (bootstrap_intervals(*few, **options) is None) == (images < 5)
        assert bool(why_no_intervals(images)) == (images < 5)
    assert why_no_intervals(1).startswith("no intervals: 1 image is too few")


def test_seed_decides_and_equal_images_have_no_width():
    data = right_or_wrong(np.random.default_rng(5), 50, 0.5)
    assert intervals(*data, samples=20) == intervals(*data, samples=20)
    assert intervals(*data, samples=20) != intervals(*data, samples=20, seed=1)
    equal = intervals([[3, 0]] * 5, [[4, 0]] * 5, [[3, 0]] * 5)
    assert equal.miou.low == equal.miou.high == 0.75
    assert math.isnan(equal.class_iou[1].low)
