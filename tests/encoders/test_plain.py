from itertools import pairwise

import pytest
import torch
from torch import nn

from segscape.encoders import PlainEncoder, build_encoder
from segscape.structures import RecipeError


def test_levels_of_the_paper_halve_and_double():
    encoder = build_encoder("plain64")
    assert encoder.channels == (64, 128, 256, 512, 1024)
    assert encoder.strides == (1, 2, 4, 8, 16)
    assert encoder.size_multiple == 16


def test_the_kernels_are_those_of_the_contracting_path():
    encoder = PlainEncoder(64, in_channels=1)
    kernels = [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]
    widths = [1, 64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024]
    by_hand = sum(9 * before * after for before, after in pairwise(widths))
    assert sum(kernel.weight.numel() for kernel in kernels) == by_hand


def test_maps_come_finest_first_for_any_depth_and_channels():
    encoder = build_encoder("plain8", in_channels=5, depth=3)
    maps = encoder(torch.rand(1, 5, 12, 20))
    assert [tuple(feature.shape) for feature in maps] == [
        (1, 8, 12, 20),
        (1, 16, 6, 10),
        (1, 32, 3, 5),
    ]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("plain", {}, "expected the channels"),
        ("plain0", {}, "expected the channels"),
        ("plainest", {}, "expected the channels"),
        ("plain16", {"weights": "download"}, "no public weights"),
        ("plain16", {"output_stride": 8}, "cannot give output_stride 8"),
    ],
)
def test_what_it_cannot_do_is_refused(name, options, message):
    with pytest.raises(RecipeError, match=message):
        build_encoder(name, **options)
