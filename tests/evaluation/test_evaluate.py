import json
import random
from typing import Any

import pytest
import torch
from tests.support.stand_in_segmenter import TableSegmenter, numbered

from segscape.evaluation.evaluate import evaluate
from segscape.metrics.boundary_f1 import BoundaryF1
from segscape.metrics.boundary_iou import BoundaryIoU
from segscape.metrics.region_sizes import RegionSizes
from segscape.metrics.trimap import TrimapIoU
from segscape.structures import CheckpointError, DatasetError, StructureError, Taxonomy

TAXONOMY = Taxonomy.from_names(["sky", "road", "car"])
# Two images, worked out by hand. Truth above, prediction below; 255 is void.
TRUTHS = [
    torch.tensor([[0, 0, 1, 1], [0, 0, 1, 255]], dtype=torch.uint8),
    torch.tensor([[1, 1], [0, 1]], dtype=torch.uint8),
]
ANSWERS = [
    torch.tensor([[0, 0, 1, 0], [0, 1, 1, 1]], dtype=torch.uint8),
    torch.tensor([[1, 1], [1, 1]], dtype=torch.uint8),
]
DATASET = numbered(TRUTHS, TAXONOMY)


def _judge(**options):
    chosen: dict[str, Any] = {"draws": 50, **options}
    return evaluate(TableSegmenter(TAXONOMY, ANSWERS), DATASET, **chosen)


def test_two_images_by_hand():
    # sky: 5 true, 4 called (3 + 1), 3 right; road: 6 true, 7 called, 5 right; car: nowhere.
    found = _judge().to_json()
    assert found["images"] == 2
    assert found["metrics"]["miou"] == pytest.approx((3 / 6 + 5 / 8) / 2)
    assert found["metrics"]["pixel_accuracy"] == pytest.approx(8 / 11)
    assert found["metrics"]["mean_pixel_accuracy"] == pytest.approx((3 / 5 + 5 / 6) / 2)
    assert found["metrics"]["mean_dice"] == pytest.approx((6 / 9 + 10 / 13) / 2)
    sky, road, car = found["per_class"]
    assert sky == {
        "name": "sky",
        "iou": pytest.approx(3 / 6),
        "precision": pytest.approx(3 / 4),
        "recall": pytest.approx(3 / 5),
        "f1": pytest.approx(6 / 9),
        "accuracy": pytest.approx(8 / 11),
    }
    assert road["iou"] == pytest.approx(5 / 8)
    assert car == {"name": "car", "iou": None, "precision": None, "recall": None, "f1": None} | {
        "accuracy": 1.0
    }
    assert found["absent_from_truth"] == ["car"]
    assert found["pixels"]["judged"] == 11
    assert found["pixels"]["void"] == 1
    assert found["confusion"]["pixels"] == [[3, 2, 0, 0], [1, 5, 0, 0], [0, 0, 0, 0]]
    assert [image["key"] for image in found["per_image"]] == ["image 0", "image 1"]
    assert found["per_image"][1]["miou"] == pytest.approx((0 + 3 / 4) / 2)
    # Every pixel is 0.75 sure, 8 of 11 are right.
    error = found["calibration"]["expected_calibration_error"]
    assert error == pytest.approx(0.75 - 8 / 11, abs=1e-6)


def test_json_has_the_promised_keys_and_no_nan():
    found = _judge(data={"split": "val"}, model={"name": "unet"}).to_json()
    json.dumps(found, allow_nan=False)
    assert found["task"] == "semantic"
    assert {"miou", "pixel_accuracy", "mean_pixel_accuracy", "mean_dice"} <= set(found["metrics"])
    for category in found["per_class"]:
        assert list(category) == ["name", "iou", "precision", "recall", "f1", "accuracy"]
    assert found["data"] == {"split": "val"}
    assert found["model"] == {"name": "unet"}
    assert found["environment"]["torch"] == torch.__version__
    assert set(found["speed"]) == {"mean_seconds", "median_seconds", "total_seconds"}
    assert any("car" in rule for rule in found["rules"])


def test_intervals_are_those_of_five_images_or_more():
    for times in (1, 2, 3):
        dataset = numbered(TRUTHS * times, TAXONOMY)
        found = evaluate(TableSegmenter(TAXONOMY, ANSWERS * times), dataset, draws=50)
        plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
        if times < 3:
            why = f"no intervals: {2 * times} images are too few to draw from, 5 are the least"
            assert plain["intervals"] is None
            assert found.why_no_intervals == why
            assert f"{why.capitalize()}." in found.rules
            continue
        low, high = plain["intervals"]["miou"]
        assert low <= plain["metrics"]["miou"] <= high
        assert plain["intervals"]["iou"]["car"] is None
        assert found.why_no_intervals == ""
        assert not any("No intervals" in rule for rule in found.rules)


def test_order_of_the_images_changes_nothing():
    truths = [torch.randint(0, 3, (5, 6), dtype=torch.uint8) for _ in range(9)]
    answers = [torch.randint(0, 3, (5, 6), dtype=torch.uint8) for _ in range(9)]
    dataset = numbered(truths, TAXONOMY)
    segmenter = TableSegmenter(TAXONOMY, answers)
    mixed = list(dataset.samples)
    random.Random(3).shuffle(mixed)
    one = evaluate(segmenter, dataset)
    two = evaluate(segmenter, type(dataset)(tuple(mixed), TAXONOMY))
    plain = [found.to_json() | {"speed": None} for found in (one, two)]
    assert plain[0] == plain[1]
    for side in ("worst", "best"):
        keys = [[example.key for example in getattr(found, side)] for found in (one, two)]
        assert keys[0] == keys[1]


def test_worst_and_best_are_sorted_small_and_disjoint():
    truth = torch.zeros(600, 10, dtype=torch.uint8)
    answers = []
    for number in range(5):
        answers.append(truth.clone())
        answers[-1][: 100 * number] = 1
    found = evaluate(TableSegmenter(TAXONOMY, answers), numbered([truth] * 5, TAXONOMY), examples=3)
    assert [example.key for example in found.worst] == ["image 4", "image 3", "image 2"]
    assert [example.key for example in found.best] == ["image 0", "image 1"]
    assert tuple(found.worst[0].target.size) == (480, 8)
    assert found.worst[0].scores == found.scores.per_image()["image 4"]
    nothing = evaluate(
        TableSegmenter(TAXONOMY, answers), numbered([truth] * 5, TAXONOMY), examples=0
    )
    assert nothing.worst == nothing.best == ()


def test_another_order_of_categories_gives_the_same_numbers():
    other = Taxonomy.from_names(["car", "sky", "road"])
    table = torch.tensor([1, 2, 0], dtype=torch.uint8)
    answers = [table[answer.long()] for answer in ANSWERS]
    for calibrate in (True, False):
        same = _judge(calibrate=calibrate).to_json()
        mapped = evaluate(
            TableSegmenter(other, answers), DATASET, draws=50, calibrate=calibrate
        ).to_json()
        assert same | {"speed": None} == mapped | {"speed": None}


def test_other_categories_are_refused():
    other = Taxonomy.from_names(["sky", "road", "bus"])
    with pytest.raises(CheckpointError, match="'car' only in the data, 'bus' only in the model"):
        evaluate(TableSegmenter(other, ANSWERS), DATASET)


def test_empty_data_are_refused():
    with pytest.raises(DatasetError, match="holds no images to judge: check --data and --split"):
        evaluate(TableSegmenter(TAXONOMY, []), numbered([], TAXONOMY))


@pytest.mark.parametrize("options", [{"limit": 0}, {"examples": -1}, {"level": 1.0}, {"draws": 0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(StructureError):
        _judge(**options)


def test_all_void_images_give_no_numbers_instead_of_nan():
    void = torch.full((2, 2), 255, dtype=torch.uint8)
    found = evaluate(TableSegmenter(TAXONOMY, ANSWERS[1:]), numbered([void], TAXONOMY))
    plain = found.to_json()
    json.dumps(plain, allow_nan=False)
    assert plain["metrics"]["miou"] is None
    assert plain["pixels"] == {"judged": 0, "void": 4} | {
        side: {"sky": 0, "road": 0, "car": 0} for side in ("truth", "predicted")
    }
    assert found.worst == ()


def test_limit_and_progress():
    calls = []
    found = _judge(limit=1, progress=lambda done, total: calls.append((done, total)))
    assert found.images == 1
    assert calls == [(1, 1)]
    assert _judge(limit=9, level=None, calibrate=False).to_json()["intervals"] is None


def test_an_unreadable_image_stops_with_its_own_error():
    class Broken(type(DATASET)):
        def __getitem__(self, index):
            if index == 1:
                raise DatasetError("image 1 is broken")
            return super().__getitem__(index)

    with pytest.raises(DatasetError, match="image 1 is broken"):
        evaluate(TableSegmenter(TAXONOMY, ANSWERS), Broken(DATASET.samples, TAXONOMY))


def test_a_category_predicted_but_not_true_counts_with_zero():
    wrong = [torch.full_like(truth, 2) for truth in TRUTHS]
    found = evaluate(TableSegmenter(TAXONOMY, wrong), DATASET).to_json()
    assert found["per_class"][2]["iou"] == 0
    assert found["absent_from_truth"] == ["car"]
    assert any("IoU of 0" in rule and "car" in rule for rule in found["rules"])


def test_contours_are_judged_unless_not_asked_for():
    found = _judge()
    assert found.boundary is not None
    f1, iou, trimap = BoundaryF1(TAXONOMY), BoundaryIoU(TAXONOMY), TrimapIoU(TAXONOMY)
    for number, (answer, truth) in enumerate(zip(ANSWERS, TRUTHS, strict=True)):
        for metric in (f1, iou, trimap):
            metric.update(answer, truth, f"image {number}")
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert written["metrics"]["boundary_f1"] == pytest.approx(f1.compute().score)
    assert written["metrics"]["boundary_iou"] == pytest.approx(iou.compute().score)
    assert written["metrics"]["trimap"] == {
        str(width): pytest.approx(scores.miou) for width, scores in trimap.compute().items()
    }
    assert [row["name"] for row in written["boundary"]["per_class"]] == ["sky", "road", "car"]
    assert written["boundary"]["per_class"][2] == {"name": "car", "f1": None, "iou": None}
    assert [row["key"] for row in written["boundary"]["per_image"]] == ["image 0", "image 1"]
    assert any("Boundary F1 pairs" in rule for rule in found.rules)
    assert any("Region sizes" in rule for rule in found.rules)
    plain = _judge(contours=False)
    assert plain.boundary is None
    assert plain.to_json()["boundary"] is None
    assert "boundary_f1" not in plain.to_json()["metrics"]
    assert plain.to_json()["region_sizes"] is None
    assert not any("Boundary" in rule for rule in plain.rules)


def test_regions_are_judged_by_their_size():
    truth = torch.zeros(40, 40, dtype=torch.uint8)  # a sky of 1,596 pixels and a car of 4
    truth[3:5, 3:5] = 2
    answer = truth.clone()
    answer[3, 3:5] = 0
    found = evaluate(TableSegmenter(TAXONOMY, [answer]), numbered([truth], TAXONOMY))
    assert found.boundary is not None
    metric = RegionSizes(TAXONOMY)
    metric.update(answer, truth, "image 0")
    assert repr(found.boundary.sizes) == repr(metric.compute())
    small, middling, large = json.loads(json.dumps(found.to_json(), allow_nan=False))[
        "region_sizes"
    ]
    assert (small["low"], small["high"], small["regions"]) == (0, 1024, 1)
    assert small["mean_recall"] == 0.5
    assert small["per_class"][0] == {"name": "sky", "regions": 0, "recall": None, "iou": None}
    assert small["per_class"][2] == {"name": "car", "regions": 1, "recall": 0.5, "iou": 0.5}
    assert middling["per_class"][0]["iou"] == pytest.approx(1596 / 1598)
    assert (large["high"], large["regions"], large["miou"]) == (None, 0, None)


def test_contours_of_huge_images_are_left_out(monkeypatch):
    monkeypatch.setattr("segscape.evaluation.boundaries.MOST_PIXELS", 4)
    found = _judge()
    assert found.boundary is not None
    assert found.boundary.images_left_out == 1
    assert list(found.boundary.f1.per_image) == ["image 1"]
    assert found.boundary.sizes[0].regions == 2
    assert any("1 images were too large" in rule for rule in found.rules)
    monkeypatch.setattr("segscape.evaluation.boundaries.MOST_PIXELS", 3)
    assert _judge().boundary is None
