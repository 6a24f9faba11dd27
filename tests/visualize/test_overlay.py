import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.support.scenes_of_labels import label_maps

from segscape.structures import Category, LabelMap, StructureError, Taxonomy
from segscape.visualize.overlay import (
    VOID_COLOR,
    WRONG_COLOR,
    difference,
    legend,
    overlay,
    paint,
    side_by_side,
)

TAXONOMY = Taxonomy((Category("sky", (10, 20, 30)), Category("road", (200, 100, 0))))


def _labels(rows):
    return LabelMap(torch.tensor(rows, dtype=torch.uint8), TAXONOMY)


@given(label_maps())
def test_each_pixel_has_its_category_color(label_map):
    picture = paint(label_map)
    taxonomy = label_map.taxonomy
    for row, column in torch.cartesian_prod(*map(torch.arange, label_map.size)).tolist():
        label = int(label_map.labels[row, column])
        void = label == taxonomy.ignore_id
        expected = (0, 0, 0) if void else taxonomy.categories[label].color
        assert tuple(picture[:, row, column].tolist()) == expected


def test_hatched_void_is_neither_black_nor_one_color():
    picture = paint(LabelMap(torch.full((8, 8), 255, dtype=torch.uint8), TAXONOMY), void="hatched")
    assert int(picture.min()) > 0
    assert len(picture.unique()) == 2


@given(label_maps(), st.floats(0, 1), st.booleans())
def test_void_shows_the_image_alone(label_map, opacity, outline):
    image = torch.randint(0, 256, (3, *label_map.size), dtype=torch.uint8)
    picture = overlay(image, label_map, opacity=opacity, outline=outline)
    void = label_map.ignored()
    assert torch.equal(picture[:, void], image[:, void])


@given(label_maps())
def test_opacity_runs_from_image_to_colors(label_map):
    image = torch.randint(0, 256, (3, *label_map.size), dtype=torch.uint8)
    assert torch.equal(overlay(image, label_map, opacity=0.0, outline=False), image)
    shown = ~label_map.ignored()
    full = overlay(image, label_map, opacity=1.0, outline=False)
    assert torch.equal(full[:, shown], paint(label_map)[:, shown])


def test_half_opacity_is_the_mean():
    image = torch.full((3, 1, 1), 100, dtype=torch.uint8)
    picture = overlay(image, _labels([[1]]), opacity=0.5)
    assert picture.flatten().tolist() == [150, 100, 50]


def test_outline_marks_one_side_of_each_border_only():
    image = torch.zeros(3, 3, 4, dtype=torch.uint8)
    label_map = _labels([[0, 0, 1, 1]] * 3)
    changed = overlay(image, label_map) != overlay(image, label_map, outline=False)
    assert changed.any(0).tolist() == [[False, True, False, False]] * 3
    assert image.sum() == 0


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_impossible_opacity_is_refused(opacity):
    with pytest.raises(StructureError, match="expected a number from 0 to 1"):
        overlay(torch.zeros(3, 1, 1, dtype=torch.uint8), _labels([[0]]), opacity=opacity)


def test_overlay_of_another_size_is_refused_with_the_cure():
    with pytest.raises(StructureError, match=r"\(2, 2\) but its labels \(1, 1\).*resize"):
        overlay(torch.zeros(3, 2, 2, dtype=torch.uint8), _labels([[0]]))


def test_difference_tells_right_wrong_and_void():
    picture = difference(_labels([[0, 1, 1]]), _labels([[0, 0, 255]]))
    right, wrong, void = (tuple(picture[:, 0, i].tolist()) for i in range(3))
    assert wrong == WRONG_COLOR
    assert void == VOID_COLOR
    assert max(right) < min(void) < max(wrong)
    named = difference(_labels([[0, 1, 1]]), _labels([[0, 0, 255]]), wrong="predicted")
    assert tuple(named[:, 0, 1].tolist()) == (200, 100, 0)


def test_a_prediction_of_nothing_is_wrong():
    picture = difference(_labels([[255]]), _labels([[0]]))
    assert tuple(picture.flatten().tolist()) == WRONG_COLOR


def test_difference_of_strangers_is_refused():
    other = LabelMap(torch.tensor([[0]], dtype=torch.uint8), Taxonomy.from_names(["a", "b"]))
    with pytest.raises(StructureError, match="different taxonomies: map"):
        difference(other, _labels([[0]]))
    with pytest.raises(StructureError, match="resize the prediction"):
        difference(_labels([[0, 0]]), _labels([[0]]))


def test_pictures_stand_side_by_side_on_white():
    one = torch.full((3, 2, 3), 7, dtype=torch.uint8)
    two = torch.full((3, 4, 1), 9, dtype=torch.uint8)
    row = side_by_side([one, two], gap=2)
    assert row.shape == (3, 4, 6)
    assert torch.equal(row[:, :2, :3], one)
    assert torch.equal(row[:, :, 5:], two)
    assert bool((row[:, :, 3:5] == 255).all())
    assert bool((row[:, 2:, :3] == 255).all())


@pytest.mark.parametrize("caption", ["truth", "a" * 500, "", "line\nbreak", "日本 \U0001f600 \x00"])
def test_captions_stay_over_their_picture(caption):
    picture = torch.full((3, 5, 40), 9, dtype=torch.uint8)
    row = side_by_side([picture, picture], gap=4, captions=[caption, ""])
    head = row.shape[1] - 5
    assert torch.equal(row[:, head:, :40], picture)
    assert bool((row[:, :head, 40:] == 255).all())
    assert bool((row[:, :head, :40] < 128).any()) == bool(caption)


@pytest.mark.parametrize(
    ("pictures", "gap", "captions", "words"),
    [
        (0, 8, None, "give at least one"),
        (2, -1, None, "expected 0 or more"),
        (2, 8, ["one"], "1 captions for 2 pictures: give one each"),
    ],
)
def test_impossible_rows_are_refused(pictures, gap, captions, words):
    with pytest.raises(StructureError, match=words):
        side_by_side(
            [torch.zeros(3, 2, 2, dtype=torch.uint8)] * pictures, gap=gap, captions=captions
        )


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_legend_shows_every_color(columns):
    picture = legend(TAXONOMY, columns=columns)
    colors = {tuple(color) for color in picture.flatten(1).T.tolist()}
    assert {(10, 20, 30), (200, 100, 0)} <= colors


def test_legend_needs_a_column():
    with pytest.raises(StructureError, match="expected 1 or more"):
        legend(TAXONOMY, columns=0)
