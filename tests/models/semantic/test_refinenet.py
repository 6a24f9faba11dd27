from typing import Any

import pytest
import torch
from tests.support.small_models import TAXONOMY, noise_batch
from torch import nn

from segscape.models import build_model
from segscape.models.semantic.refinenet import RefineBlock, ResidualConvUnit
from segscape.structures import Taxonomy

VOC = Taxonomy.from_names([f"class {index}" for index in range(21)])
RESNET50 = 23_508_032  # torchvision's, without its classifier


def by_hand(links: int, units: int, extra: int) -> int:
    """The decoder over maps of 256, 512, 1024 and 2048 channels, from the layers of the paper."""

    def conv(before: int, after: int) -> int:
        return 9 * before * after

    def unit(width: int) -> int:
        return 2 * conv(width, width) + width

    total = conv(2048, 512) + (2 + units) * unit(512) + links * conv(512, 512)
    for index, depth in enumerate((1024, 512, 256)):
        coarse = 512 if index == 0 else 256
        total += conv(depth, 256) + (2 + units) * unit(256) + links * conv(256, 256)
        total += conv(256, 256) + conv(coarse, 256)
    return total + extra * unit(256) + conv(256, 21) + 21


@pytest.mark.parametrize(
    ("variant", "layers", "golden"),
    [("paper", (2, 1, 2), 76_644_949), ("released", (4, 3, 0), 99_060_309)],
)
def test_parameters_by_hand(variant: str, layers: tuple[int, int, int], golden: int):
    model = build_model("refinenet", VOC, {"encoder": "resnet50", "variant": variant})
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == RESNET50 + by_hand(*layers) == golden


def test_four_blocks_of_512_and_256_channels_climb_to_a_quarter():
    model: Any = build_model("refinenet", TAXONOMY, {"encoder": "resnet18", "channels": 8})
    assert [block.reduce.out_channels for block in model.blocks] == [16, 8, 8, 8]
    assert [block.reduce.in_channels for block in model.blocks] == [512, 256, 128, 64]
    assert not hasattr(model.blocks[0], "fuse_fine")
    assert model.strides == (4, 8, 16, 32)
    with torch.no_grad():
        maps = model.encoder(torch.zeros(1, 3, 64, 96))[1:]
        x = None
        for block, fine in zip(model.blocks, reversed(maps), strict=True):
            x = block(fine, x)
    assert x is not None
    assert x.shape == (1, 8, 16, 24)


def test_a_residual_unit_is_relu_conv_relu_conv():
    torch.manual_seed(0)
    unit, x = ResidualConvUnit(4), torch.randn(1, 4, 5, 6)
    assert unit.conv2.bias is None
    expected = x + unit.conv2(unit.conv1(x.relu()).relu())
    torch.testing.assert_close(unit(x), expected)


def test_a_block_fuses_by_adding_what_both_convolutions_give():
    torch.manual_seed(0)
    block: Any = RefineBlock(6, 10, 4, variant="paper")
    fine, coarse = torch.randn(1, 6, 8, 8), torch.randn(1, 10, 4, 4)
    adapted = block.adapt(block.reduce(fine))
    enlarged = nn.functional.interpolate(block.fuse_coarse(coarse), scale_factor=2, mode="bilinear")
    expected = block.output(block.pool(block.fuse_fine(adapted) + enlarged))
    torch.testing.assert_close(block(fine, coarse), expected)


def test_only_the_decoder_begins_narrow():
    torch.manual_seed(0)
    model: Any = build_model("refinenet", TAXONOMY, {"encoder": "resnet18", "channels": 32})
    for conv in model.blocks.modules():
        if isinstance(conv, nn.Conv2d):
            assert conv.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert model.encoder.backbone["conv1"].weight.std() > 0.015
    assert model.eval()(noise_batch((16, 16))).logits.isfinite().all()
