import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from segscape.ops.region_proposals import propose_regions


def scene(seed: int) -> tuple[Tensor, Tensor]:
    """Five rectangles of own colours on grey noise, and their boxes where they are whole."""
    generator = np.random.default_rng(seed)
    image = 110 + generator.integers(-6, 7, (3, 150, 200))
    boxes: list[list[int]] = []
    for place in range(5):
        left, top = 10 + 38 * place, int(generator.integers(5, 60))
        right, bottom = (
            left + int(generator.integers(15, 30)),
            top + int(generator.integers(20, 80)),
        )
        color = generator.integers(0, 2, 3) * 230 + 10
        image[:, top:bottom, left:right] = color[:, None, None]
        boxes.append([left, top, right, bottom])
    return torch.from_numpy(image.astype(np.uint8)), torch.tensor(boxes).float()


@pytest.mark.parametrize("seed", range(4))
def test_plain_objects_are_found_among_the_first(seed: int):
    image, truth = scene(seed)
    boxes = propose_regions(image)
    assert bool((box_iou(truth, boxes[:40]).amax(1) > 0.8).all())


def test_parts_of_an_object_grow_into_it():
    image = torch.full((3, 100, 120), 20, dtype=torch.uint8)
    image[0, 20:80, 30:60] = 200
    image[0, 20:80, 60:90] = 240
    boxes = propose_regions(image)
    for box in ([30, 20, 60, 80], [60, 20, 90, 80], [30, 20, 90, 80]):
        overlap = box_iou(torch.tensor([box]).float(), boxes)
        assert float(overlap.max()) > 0.9


def test_boxes_are_inside_distinct_and_the_same_again():
    image, _ = scene(9)
    boxes = propose_regions(image)
    assert torch.equal(boxes, propose_regions(image))
    assert len(torch.unique(boxes, dim=0)) == len(boxes)
    assert bool((boxes[:, :2] >= 0).all())
    assert bool((boxes[:, 2:] > boxes[:, :2]).all())
    assert bool((boxes[:, 2:] <= torch.tensor([200, 150])).all())
    assert [0, 0, 200, 150] in boxes.tolist()
    assert torch.equal(propose_regions(image, most=3), boxes[:3])


def test_large_images_are_shrunk_and_boxes_grow_back():
    small, truth = scene(2)
    large = small.repeat_interleave(6, 1).repeat_interleave(6, 2)
    boxes = propose_regions(large)
    assert [0, 0, 1200, 900] in boxes.tolist()
    assert bool((box_iou(6 * truth, boxes).amax(1) > 0.8).all())


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (2, 2), (501, 3)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_any_size_and_channels_give_the_whole_image_at_least(size: tuple[int, int], channels: int):
    boxes = propose_regions(torch.zeros(channels, *size, dtype=torch.uint8))
    assert boxes.tolist() == [[0, 0, size[1], size[0]]]


@pytest.mark.parametrize("scales", [(), (0.0,), (100.0, -1.0)])
def test_wrong_scales_are_refused(scales: tuple[float, ...]):
    with pytest.raises(ValueError, match="scales are"):
        propose_regions(torch.zeros(3, 4, 4, dtype=torch.uint8), scales=scales)
