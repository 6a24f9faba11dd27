from typing import Any

import torch
import torch.nn.functional as F

from segscape.layers.fpn import FPN


def test_each_level_is_the_smoothed_sum_of_its_own_and_all_coarser_maps():
    torch.manual_seed(0)
    fpn: Any = FPN([3, 4], 5).eval()
    maps, top = [torch.randn(1, 3, 8, 12), torch.randn(1, 4, 4, 6)], torch.randn(1, 5, 2, 3)
    with torch.no_grad():
        levels = fpn(maps, top)
        middle = fpn.laterals[1](maps[1]) + F.interpolate(top, scale_factor=2, mode="bilinear")
        fine = fpn.laterals[0](maps[0]) + F.interpolate(middle, scale_factor=2, mode="bilinear")
        assert levels[2] is top
        torch.testing.assert_close(levels[1], fpn.smooth[1](middle))
        torch.testing.assert_close(levels[0], fpn.smooth[0](fine))


def test_parameters_by_hand():
    fpn = FPN([256, 512, 1024], 512)
    by_hand = (256 + 512 + 1024) * 512 + 3 * 9 * 512 * 512 + 6 * 2 * 512
    assert sum(parameter.numel() for parameter in fpn.parameters()) == by_hand
