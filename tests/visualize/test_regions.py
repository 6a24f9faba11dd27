"""Pictures of regions, by hand."""

import pytest
import torch

from segscape.structures import StructureError
from segscape.visualize.regions import LINE, boundary_overlay, mean_colors

IMAGE = torch.arange(3 * 4 * 5, dtype=torch.uint8).reshape(3, 4, 5) * 4
REGIONS = torch.tensor([[0, 0, 0, 1, 1]] * 2 + [[2, 2, 2, 1, 1]] * 2)


def test_a_line_runs_before_each_border_and_a_shade_behind_it():
    picture = boundary_overlay(IMAGE, REGIONS)
    line = torch.tensor(LINE, dtype=torch.uint8)
    is_line = (picture == line[:, None, None]).all(0)
    assert is_line.tolist() == [
        [False, False, True, False, False],
        [True, True, True, False, False],
        [False, False, True, False, False],
        [False, False, True, False, False],
    ]
    shaded = (picture != IMAGE).any(0) & ~is_line
    assert shaded[2].tolist() == [True, True, False, True, False]
    assert torch.equal(picture[:, 0, :2], IMAGE[:, 0, :2])
    whole = torch.zeros(4, 5, dtype=torch.int64)
    assert torch.equal(boundary_overlay(IMAGE, whole), IMAGE)


def test_each_region_gets_its_mean():
    picture = mean_colors(IMAGE, REGIONS)
    for region in range(3):
        inside = torch.eq(REGIONS, region)
        mean = IMAGE[:, inside].float().mean(1).round().to(torch.uint8)
        assert torch.equal(picture[:, inside], mean[:, None].expand(-1, int(inside.sum())))
    one = torch.zeros(1, 1, dtype=torch.int64)
    assert torch.equal(mean_colors(IMAGE[:, :1, :1], one), IMAGE[:, :1, :1])


def test_other_sizes_are_refused():
    for draw in (boundary_overlay, mean_colors):
        with pytest.raises(StructureError, match="resize one of them"):
            draw(IMAGE, REGIONS[:3])
