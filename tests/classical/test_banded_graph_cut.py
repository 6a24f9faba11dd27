import pytest
import torch

from segscape.classical.banded_graph_cut import banded_graph_cut
from segscape.classical.graph_cut import graph_cut
from segscape.structures import MethodError


def scene(side=150):
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    disk = (y - 0.5 * side) ** 2 + (x - 0.4 * side) ** 2 < (0.3 * side) ** 2
    noise = torch.randn(3, side, side, generator=torch.Generator().manual_seed(0))
    image = torch.where(disk, 0.7, 0.3) + 0.05 * noise
    marks = torch.full((side, side), 255, dtype=torch.uint8)
    marks[70:80, 40:70], marks[:6], marks[:, -6:] = 1, 0, 0
    return image, disk, marks


def test_close_to_full_size_in_labels_and_energy():
    image, disk, marks = scene()
    full = graph_cut(image, marks)
    fast = banded_graph_cut(image, marks, coarse_to_fine=3)
    assert float((fast.mask & disk).sum() / (fast.mask | disk).sum()) > 0.98
    assert float((fast.mask == full.mask).float().mean()) > 0.995
    assert fast.mask[marks == 1].all()
    assert not fast.mask[marks == 0].any()


def test_small_images_are_cut_at_once():
    image, _, marks = scene(90)
    marks[40:50, 30:40] = 1
    full, same = graph_cut(image, marks), banded_graph_cut(image, marks)
    assert torch.equal(full.mask, same.mask)
    assert full.energy == same.energy


def test_the_energy_in_strips_is_that_of_the_whole():
    image, _, marks = scene(90)
    marks[40:50, 30:40] = 1
    tall = image.repeat(1, 5, 1)
    tall_marks = torch.full((450, 90), 255, dtype=torch.uint8)
    tall_marks[:90] = marks
    full = graph_cut(tall, tall_marks, sigma=0.1)
    fast = banded_graph_cut(tall, tall_marks, sigma=0.1, coarse_to_fine=2)
    assert float((fast.mask == full.mask).float().mean()) > 0.99
    assert fast.energy == pytest.approx(full.energy, rel=1e-3)


@pytest.mark.parametrize("value", [0, 7])
def test_bad_marks(value):
    image, _, marks = scene(90)
    with pytest.raises(MethodError, match="marks of values"):
        banded_graph_cut(image, torch.full_like(marks, value))
    with pytest.raises(MethodError, match="one mark per pixel"):
        banded_graph_cut(image, marks[1:])
