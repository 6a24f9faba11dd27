"""Pictures of regions, by hand."""

import pytest
import torch

from segscape.structures import StructureError
from segscape.visualize.regions import LINE, boundary_overlay, cut_out, mean_colors

IMAGE = torch.arange(3 * 4 * 5, dtype=torch.uint8).reshape(3, 4, 5) * 4
REGIONS = torch.tensor([[0, 0, 0, 1, 1]] * 2 + [[2, 2, 2, 1, 1]] * 2)


def test_a_line_runs_before_each_border_between_dark_rims():
    image = torch.full((3, 4, 7), 200, dtype=torch.uint8)
    regions = torch.tensor([[0, 0, 0, 1, 1, 1, 1]] * 4)
    row = [200, 60, LINE[0], 60, 200, 200, 200]
    assert boundary_overlay(image, regions)[0].tolist() == [row] * 4
    corner = boundary_overlay(image, ((regions == 0) & (torch.arange(4)[:, None] < 2)).int())
    is_line = (corner == torch.tensor(LINE, dtype=torch.uint8)[:, None, None]).all(0)
    assert torch.nonzero(is_line).tolist() == [[0, 2], [1, 0], [1, 1], [1, 2]]
    assert (corner[0] == 60).sum() == 8
    whole = torch.zeros(4, 5, dtype=torch.int64)
    assert torch.equal(boundary_overlay(IMAGE, whole), IMAGE)


def test_lines_are_wider_in_large_images():
    image = torch.full((3, 1, 1700), 200, dtype=torch.uint8)
    picture = boundary_overlay(image, (torch.arange(1700) < 800)[None].int())
    assert picture[0, 0, 795:805].tolist() == [200, 60, 60, 255, 255, 255, 60, 60, 200, 200]


def test_what_the_mask_holds_stays_and_the_rest_is_white():
    mask = torch.eq(REGIONS, 1)
    picture = cut_out(IMAGE, mask)
    assert torch.equal(picture[:, mask], IMAGE[:, mask])
    assert (picture[:, ~mask] == 255).all()
    with pytest.raises(StructureError, match="resize one of them"):
        cut_out(IMAGE, mask[:3])


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
