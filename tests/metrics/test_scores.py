import itertools
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segscape.metrics.confusion import ConfusionMatrix
from segscape.structures import StructureError, Taxonomy

NAMES = ("road", "car", "sign")


def matrix_of(*images):
    matrix = ConfusionMatrix(Taxonomy.from_names(NAMES))
    for index, (prediction, target) in enumerate(images):
        matrix.update(torch.tensor([prediction]), torch.tensor([target]), f"image_{index}")
    return matrix


def quotient(above, below):
    return above / below if below else math.nan


def mean(values, absent):
    held = [value for value in values if not math.isnan(value)]
    if not held:
        return math.nan
    return sum(held) / (len(values) if absent == "zero" else len(held))


def by_sets(images, absent):
    """Every score from sets of pixels, by the words of its definition."""
    true, called = {c: set() for c in range(3)}, {c: set() for c in range(3)}
    judged = set()
    for number, (prediction, target) in enumerate(images):
        for place, (p, t) in enumerate(zip(prediction, target, strict=True)):
            if t == 255:
                continue
            judged.add((number, place))
            true[t].add((number, place))
            if p != 255:
                called[p].add((number, place))
    iou, precision, recall, dice, accuracy = [], [], [], [], []
    for c in range(3):
        both = true[c] & called[c]
        iou.append(quotient(len(both), len(true[c] | called[c])))
        dice.append(quotient(2 * len(both), len(true[c]) + len(called[c])))
        recall.append(quotient(len(both), len(true[c])))
        missed = bool(true[c]) and not called[c]
        precision.append(0.0 if missed else quotient(len(both), len(called[c])))
        neither = judged - true[c] - called[c]
        accuracy.append(quotient(len(both) + len(neither), len(judged)))
    weighted = [len(true[c]) * iou[c] for c in range(3) if true[c]]
    right = sum(len(true[c] & called[c]) for c in range(3))
    return {
        "miou": mean(iou, absent),
        "pixel_accuracy": quotient(right, len(judged)),
        "mean_pixel_accuracy": mean(recall, absent),
        "frequency_weighted_iou": quotient(sum(weighted), len(judged)),
        "mean_dice": mean(dice, absent),
        "mean_f1": mean(dice, absent),
        "mean_precision": mean(precision, absent),
        "mean_recall": mean(recall, absent),
    }, {"iou": iou, "precision": precision, "recall": recall, "f1": dice, "accuracy": accuracy}


ids = st.sampled_from([0, 1, 2, 255])
images = st.lists(
    st.integers(1, 8).flatmap(
        lambda n: st.tuples(
            st.lists(ids, min_size=n, max_size=n), st.lists(ids, min_size=n, max_size=n)
        )
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(images=images, absent=st.sampled_from(["exclude", "zero"]))
def test_every_score_equals_its_definition_by_sets(images, absent):
    scores = matrix_of(*images).compute(absent=absent)
    overall, per_class = by_sets(images, absent)
    for name, value in overall.items():
        assert getattr(scores, name) == pytest.approx(value, abs=1e-12, nan_ok=True), name
    for name, values in per_class.items():
        found = [getattr(one, name) for one in scores.per_class]
        assert found == pytest.approx(values, abs=1e-12, nan_ok=True), name
    alone = [by_sets([image], absent)[0] for image in images]
    for found, expected in zip(scores.per_image().values(), alone, strict=True):
        assert found.miou == pytest.approx(expected["miou"], abs=1e-12, nan_ok=True)
        assert found.pixel_accuracy == pytest.approx(expected["pixel_accuracy"], nan_ok=True)
        assert found.mean_dice == pytest.approx(expected["mean_dice"], abs=1e-12, nan_ok=True)
    per_image = mean([one["miou"] for one in alone], "exclude")
    assert scores.miou_per_image == pytest.approx(per_image, abs=1e-12, nan_ok=True)
    for value in [*overall.values(), *itertools.chain(*per_class.values())]:
        assert math.isnan(value) or 0 <= value <= 1


def test_perfect_is_one():
    scores = matrix_of(([0, 1, 2], [0, 1, 2]), ([2, 2, 0], [2, 2, 255])).compute()
    numbers = scores.to_json()["metrics"]
    assert set(numbers.values()) == {1.0}
    assert scores.absent == ()


def test_absent_categories_are_listed_and_their_rule_is_a_choice():
    matrix = matrix_of(([0, 0, 1], [0, 0, 1]))
    excluded, zero = matrix.compute(), matrix.compute(absent="zero")
    assert excluded.absent == zero.absent == ("sign",)
    assert excluded.miou == 1
    assert zero.miou == pytest.approx(2 / 3)
    assert math.isnan(zero.per_class[2].iou)
    assert (excluded.absent_rule, zero.absent_rule) == ("exclude", "zero")


def test_a_category_only_in_the_predictions_costs():
    scores = matrix_of(([0, 0, 2], [0, 0, 1])).compute()
    assert scores.per_class[2].iou == 0
    assert math.isnan(scores.per_class[2].recall)
    assert scores.miou == pytest.approx(1 / 3)
    assert scores.mean_pixel_accuracy == 0.5


def test_accuracy_misleads_for_a_rare_category_and_class_accuracy_does_not():
    never_found = matrix_of(([0] * 100, [0] * 99 + [2])).compute().per_class[2]
    assert never_found.accuracy == 0.99
    assert never_found.recall == never_found.pixel_accuracy == 0
    assert never_found.f1 == never_found.dice == 0


def test_the_data_sets_miou_is_not_the_mean_over_images():
    scores = matrix_of(([0] * 9 + [1], [0] * 9 + [1]), ([0], [1])).compute()
    assert scores.miou == pytest.approx((9 / 10 + 1 / 2) / 2)
    assert scores.miou_per_image == pytest.approx(0.5)


def test_json_has_the_keys_others_read():
    found = matrix_of(([0, 1], [0, 1])).compute().to_json()
    assert list(found) == ["task", "images", "metrics", "per_class"]
    assert (found["task"], found["images"]) == ("semantic", 1)
    assert {"miou", "pixel_accuracy", "mean_pixel_accuracy", "mean_dice"} <= set(found["metrics"])
    keys = ["name", "iou", "precision", "recall", "f1", "accuracy"]
    assert [list(one) for one in found["per_class"]] == [keys] * 3
    sign = found["per_class"][2]
    assert sign["name"] == "sign"
    assert sign["iou"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_all_void_is_nothing_not_zero():
    scores = matrix_of(([0, 1], [255, 255])).compute()
    assert math.isnan(scores.miou)
    assert math.isnan(scores.miou_per_image)
    assert scores.to_json()["metrics"]["miou"] is None
    of_five = matrix_of(*[([0, 1], [255, 255])] * 5).compute().bootstrap(10)
    assert of_five is not None
    assert math.isnan(of_five.miou.low)


@pytest.mark.parametrize(
    ("options", "problem"), [({"samples": 0}, "samples=0"), ({"level": 1.0}, r"level=1.0")]
)
def test_bootstrap_refuses_what_means_nothing(options, problem):
    with pytest.raises(StructureError, match=problem):
        matrix_of(([0], [0])).compute().bootstrap(**options)
