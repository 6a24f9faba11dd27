import json
from typing import Any

import pytest
import torch
from tests.support.stand_in_segmenter import TableSegmenter, numbered

from segscape.evaluation import cells as cells_module
from segscape.evaluation.evaluate import evaluate
from segscape.evaluation.report import render
from segscape.structures import StructureError, Taxonomy

TAXONOMY = Taxonomy.from_names(["membrane", "cell"])
# Two cells of 2 and 4 pixels called one; the same, called rightly, twice as high; no cell at all.
TRUTHS = [
    torch.tensor([[1, 1, 0, 1, 1, 1, 1]], dtype=torch.uint8),
    torch.tensor([[1, 1, 0, 1, 1, 1, 1]] * 2, dtype=torch.uint8),
    torch.tensor([[0, 0, 0]], dtype=torch.uint8),
]
ANSWERS = [torch.ones(1, 7, dtype=torch.uint8), TRUTHS[1], TRUTHS[2]]


def _judge(truths=TRUTHS, answers=ANSWERS, **options):
    chosen: dict[str, Any] = {"cells": "cell", **options}
    return evaluate(TableSegmenter(TAXONOMY, answers), numbered(truths, TAXONOMY), **chosen)


def test_merged_cells_by_hand():
    found = _judge().to_json()
    merged, right, empty = found["cells"]["per_image"]
    assert merged == {
        "key": "image 0",
        "rand": pytest.approx((4 + 16) / 36 / (0.5 + 0.5 * (4 + 16) / 36)),
        "rand_split": 1.0,
        "rand_merge": pytest.approx((4 + 16) / 36),
        "information": 0.0,
        "information_split": 1.0,
        "information_merge": 0.0,
        "warping_error": pytest.approx(1 / 7),
    }
    assert set(right.values()) == {"image 1", 1.0, 0.0}
    assert right["warping_error"] == 0
    assert empty["rand"] is None
    assert empty["warping_error"] == 0
    assert found["cells"]["images_with_cells"] == 2
    # Scores: the mean of two images. Warping: one wrong pixel among those of all three.
    for place, rand, warping in (
        (found["metrics"], "v_rand", "warping_error"),
        (found["cells"], "rand", "warping_error"),
    ):
        assert place[rand] == pytest.approx((20 / 28 + 1) / 2)
        assert place[warping] == pytest.approx(1 / (7 + 14 + 3))
    assert found["metrics"]["v_info"] == pytest.approx(0.5)
    assert any("mean over the 2 images that have true cells" in rule for rule in found["rules"])


def test_without_cells_nothing_is_said_of_them():
    found = _judge(cells=None)
    assert found.cells is None
    plain = found.to_json()
    assert plain["cells"] is None
    assert "v_rand" not in plain["metrics"]
    assert "V^Rand" not in render(found, title="x")


def test_any_category_may_be_the_cells():
    # Pieces of 3 and 1 pixels; the one that is found grows over the thinned border.
    truth = torch.tensor([[0, 0, 0, 1, 0]], dtype=torch.uint8)
    answer = torch.tensor([[0, 1, 1, 1, 1]], dtype=torch.uint8)
    found = _judge([truth], [answer], cells="membrane").cells
    assert found is not None
    assert found.category == "membrane"
    assert found.overall.scores.rand == pytest.approx((9 + 1) / 16 / (0.5 + 0.5 * (9 + 1) / 16))
    assert found.overall.warping_error == pytest.approx(1 / 5)


def test_no_such_category_is_refused_before_any_image_is_read():
    with pytest.raises(StructureError, match=r"no category is named 'nucleus'.*membrane, cell"):
        _judge(truths=TRUTHS, answers=[], cells="nucleus")


def test_images_too_large_are_left_out(monkeypatch):
    monkeypatch.setattr(cells_module, "MOST_PIXELS", 10)
    found = _judge()
    assert found.cells is not None
    assert found.cells.images_left_out == 1
    assert list(found.cells.per_image) == ["image 0", "image 2"]
    assert any("1 images were too large for cells" in rule for rule in found.rules)
    assert "image 1" in render(found, title="x")
    monkeypatch.setattr(cells_module, "MOST_PIXELS", 1)
    assert _judge().cells is None


def test_the_page_shows_scores_parts_and_images():
    page = " ".join(render(_judge(), title="x").split())
    assert 'id="cells"' in page
    assert f"{100 * (20 / 28 + 1) / 2:.2f}" in page
    assert f"{100 / 24:.4f}" in page
    assert "Warping error" in page
    assert "nan" not in page.lower().split()


def test_only_void_gives_no_numbers_instead_of_nan():
    void = torch.full((2, 2), 255, dtype=torch.uint8)
    plain = _judge([void], [torch.ones(2, 2, dtype=torch.uint8)]).to_json()
    json.dumps(plain, allow_nan=False)
    assert plain["metrics"]["v_rand"] is None
    assert plain["metrics"]["warping_error"] is None
    assert plain["cells"]["images_with_cells"] == 0
