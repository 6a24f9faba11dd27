import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import drawn_sample

from segscape.structures import LabelMap, StructureError, Taxonomy
from segscape.visualize.figures import (
    as_rgb,
    comparison,
    preview,
    smaller,
    smaller_labels,
    stacked,
)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_channels_can_be_shown(channels):
    image = torch.arange(channels, dtype=torch.uint8)[:, None, None].expand(channels, 2, 2)
    assert as_rgb(image)[:, 0, 0].tolist() == ([0, 0, 0] if channels == 1 else [0, 1, 2])


def test_deep_images_are_shown_from_their_darkest_to_their_brightest():
    image = torch.arange(1000.0).reshape(1, 20, 50)
    for deep in (image.to(torch.uint16), image / 4095, image.to(torch.int16)):
        picture = as_rgb(deep)
        assert picture.dtype == torch.uint8
        assert picture.shape == (3, 20, 50)
        assert picture[0, 0, 0] == 0
        assert picture[0, 19, 49] == 255
        assert abs(int(picture[0, 10, 0]) - 128) <= 1
    hot = torch.full((1, 50, 50), 100, dtype=torch.int16)
    hot[0, :25] = 50
    hot[0, 0, 0] = 30000
    assert as_rgb(hot)[0, [10, 40], 0].tolist() == [0, 255]
    assert as_rgb(torch.full((5, 2, 2), 7, dtype=torch.uint16)).unique().tolist() == [128]


def test_comparison_has_four_pictures_in_a_row():
    sample = drawn_sample(30, 40, weights=False)
    sheet = comparison(sample.image, sample.target, sample.target, caption="drawn")
    assert sheet.shape[2] == 4 * 40 + 3 * 8
    assert torch.equal(sheet[:, -30:, :40], sample.image)


def test_preview_holds_every_row_and_the_legend():
    sample = drawn_sample(30, 40, weights=False)
    one = preview([("a", sample.image, sample.target, sample.target)], longest_side=20)
    two = preview([("a", sample.image, sample.target, sample.target)] * 2, longest_side=20)
    assert two.shape[1] > one.shape[1] + 15
    with pytest.raises(StructureError, match="at least one image"):
        preview([])
    with pytest.raises(StructureError, match="give at least one"):
        stacked([])


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 50))
def test_images_and_labels_shrink_to_the_same_size(height, width, longest):
    image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    taxonomy = Taxonomy.from_names(["a", "b"])
    labels = LabelMap(torch.randint(0, 2, (height, width), dtype=torch.uint8), taxonomy)
    small, small_labels = smaller(image, longest), smaller_labels(labels, longest)
    assert tuple(small.shape[1:]) == tuple(small_labels.size)
    assert max(small_labels.size) == min(longest, max(height, width))
    if max(height, width) <= longest:
        assert torch.equal(small, image)


def test_shrunk_labels_come_from_the_middle_of_their_pixels():
    rows = torch.arange(9, dtype=torch.uint8).repeat(9, 1)
    labels = LabelMap(rows, Taxonomy.from_names([str(i) for i in range(9)]))
    assert smaller_labels(labels, 3).labels.tolist() == [[1, 4, 7]] * 3
