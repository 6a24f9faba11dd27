"""Marks from PNG and JSON, and what is refused of them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from segscape.io.mark_files import checked_box, read_marks
from segscape.structures import ImageFileError, MaskFileError, Size

SIZE = Size(10, 12)


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "marks.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_a_png_is_taken_as_it_is(tmp_path):
    ids = np.full((10, 12), 255, np.uint8)
    ids[3, 4], ids[7, 7] = 0, 3
    Image.fromarray(ids).save(tmp_path / "a.png")
    found = read_marks(tmp_path / "a.png", SIZE)
    assert found.marks is not None
    assert torch.equal(found.marks, torch.from_numpy(ids))
    assert found.boxes == ()
    with pytest.raises(MaskFileError, match="the marks are 10 x 12 but the image 9 x 12 pixels"):
        read_marks(tmp_path / "a.png", Size(9, 12))
    with pytest.raises(ImageFileError, match="no such file"):
        read_marks(tmp_path / "b.png", SIZE)
    Image.fromarray(ids.astype(np.uint16) + 200).save(tmp_path / "c.png")
    with pytest.raises(MaskFileError, match="ids from 200 to 455, expected labels"):
        read_marks(tmp_path / "c.png", SIZE)


def test_json_holds_strokes_and_boxes(written):
    stroke = {"points": [[1.5, 2.5], [6.5, 2.5]], "width": 1, "label": 2}
    found = read_marks(written({"strokes": [stroke], "boxes": [[0, 1, 12, 10]]}), SIZE)
    assert found.boxes == ((0, 1, 12, 10),)
    assert found.marks is not None
    assert found.marks.dtype == torch.uint8
    assert found.marks[2].tolist() == [255, 2, 2, 2, 2, 2, 2, 255, 255, 255, 255, 255]
    assert (found.marks != 255).sum() == 6
    assert read_marks(written({"boxes": [[0, 1, 12, 10]]}), SIZE).marks is None
    assert read_marks(written({"boxes": [[-2, 1, 99, 5]]}), SIZE).boxes == ((-2, 1, 99, 5),)


def test_strokes_of_one_label_may_cross(written):
    strokes = [{"points": [[0, 0], [9, 9]], "label": 1}, {"points": [[9, 0], [0, 9]], "label": 1}]
    assert (read_marks(written({"strokes": strokes}), SIZE).marks == 1).any()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ([], "expected {"),
        ({}, "expected {"),
        ({"strokes": []}, "marks nothing"),
        ({"strokes": {}}, "'strokes' is no list"),
        ({"strokes": [3]}, "stroke 1 is malformed"),
        ({"strokes": [{"points": [], "label": 1}]}, "stroke 1 is malformed"),
        ({"strokes": [{"points": [[1, 1]]}]}, "stroke 1 is malformed"),
        ({"strokes": [{"points": [[1, 1]], "label": 255}]}, "has the label 255"),
        ({"strokes": [{"points": [[1, 1]], "label": True}]}, "has the label True"),
        ({"strokes": [{"points": [[1, 1]], "width": -2, "label": 1}]}, "stroke 1 is malformed"),
        (
            {"strokes": [{"points": [[50, 50]], "label": 1}]},
            "lies outside the image, 12 wide and 10 high",
        ),
        ({"boxes": [[3, 3, 3, 9]]}, "is none in an image"),
        ({"boxes": [[9, 3, 3, 9]]}, "is none in an image"),
        ({"boxes": [[50, 50, 60, 60]]}, "is none in an image"),
        ({"boxes": [[3, 3, 9.5, 9]]}, "is none in an image"),
        ({"boxes": [3, 3, 9, 9]}, "is none in an image"),
    ],
)
def test_malformed_json_is_refused_with_the_form(written, content, said):
    with pytest.raises(MaskFileError) as caught:
        read_marks(written(content), SIZE)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_contradicting_strokes_are_named_with_a_place(written):
    strokes = [
        {"points": [[0.5, 4.5], [11.5, 4.5]], "label": 0},
        {"points": [[5.5, 0.5], [5.5, 9.5]], "label": 1},
    ]
    with pytest.raises(
        MaskFileError, match=r"strokes 1 \(label 0\) and 2 \(label 1\) both mark 1 "
    ):
        read_marks(written({"strokes": strokes}), SIZE)
    with pytest.raises(MaskFileError, match="as x 5, y 4"):
        read_marks(written({"strokes": strokes}), SIZE)


@pytest.mark.parametrize("box", [(3, 3, 3, 9), (12, 0, 15, 9), (0, 0, 5), ("a",) * 4])
def test_a_box_that_is_none_is_refused_with_its_place(box):
    assert checked_box((0, 0, 12, 10), SIZE, "--box") == (0, 0, 12, 10)
    with pytest.raises(
        MaskFileError, match=r"--box: the box .* is none in an image 12 wide and 10 high"
    ):
        checked_box(box, SIZE, "--box")
