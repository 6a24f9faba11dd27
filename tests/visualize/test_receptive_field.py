import pytest
import torch

from segscape.structures import StructureError
from segscape.visualize.receptive_field import HEAT, draw_receptive_field

GREY = torch.full((3, 21, 25), 100, dtype=torch.uint8)


def test_the_square_is_drawn_where_it_can_see():
    picture = draw_receptive_field(GREY, torch.zeros(21, 25), size=15)
    changed = (picture != GREY).any(0)
    rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
    assert (int(rows[0]), int(rows[-1])) == (3, 17)
    assert (int(columns[0]), int(columns[-1])) == (5, 19)


def test_what_is_larger_than_the_image_leaves_its_border_alone():
    for size in (101, None):
        picture = draw_receptive_field(GREY, torch.zeros(21, 25), size=size)
        changed = (picture != GREY).any(0)
        assert changed.sum() == 24 + 16  # the two frames around the place itself
        assert not changed[0].any()


def test_strength_is_warm_and_the_image_is_not_changed():
    strength = torch.zeros(21, 25)
    strength[3, 4] = 1
    strength[3, 20] = 0.25
    image = GREY.clone()
    picture = draw_receptive_field(image, strength, size=None, opacity=1.0)
    assert torch.equal(image, GREY)
    assert tuple(picture[:, 3, 4].tolist()) == HEAT
    halfway = [round((100 + warm) / 2) for warm in HEAT]
    assert (picture[:, 3, 20].int() - torch.tensor(halfway)).abs().max() <= 1


def test_a_place_at_the_border_is_drawn_as_far_as_it_lies_inside():
    picture = draw_receptive_field(GREY, torch.zeros(21, 25), size=9, place=(0, 24))
    assert (picture != GREY).any(0)[4, 20:].all()


def test_another_size_is_refused():
    with pytest.raises(StructureError, match=r"21 x 25 but the strength \(20, 25\)"):
        draw_receptive_field(GREY, torch.zeros(20, 25), size=3)
