import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import masks_to_boxes

from segscape.ops.masks import boxes_around


@st.composite
def _masks(draw):
    count, height, width = draw(st.integers(0, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    seed, density = draw(st.integers(0, 2**31)), draw(st.sampled_from([0.02, 0.2, 0.9]))
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, height, width, generator=generator) < density


@given(_masks())
def test_boxes_are_tight_as_those_of_torchvision(masks):
    boxes = boxes_around(masks)
    filled = masks.flatten(1).any(1) if len(masks) else torch.zeros(0, dtype=torch.bool)
    # torchvision's right and bottom are inclusive.
    expected = masks_to_boxes(masks[filled]) + torch.tensor([0.0, 0, 1, 1])
    assert torch.equal(boxes[filled], expected)
    assert not boxes[~filled].any()


def test_masks_without_pixels_have_empty_boxes():
    assert boxes_around(torch.zeros(2, 0, 5, dtype=torch.bool)).tolist() == [[0, 0, 0, 0]] * 2
    assert boxes_around(torch.zeros(0, 4, 5, dtype=torch.bool)).shape == (0, 4)
