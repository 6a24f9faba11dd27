from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.support.small_models import TAXONOMY
from torch import nn

from segscape.encoders import build_encoder
from segscape.models import build_model
from segscape.models.semantic.light_weight_refinenet import LightRefineBlock
from segscape.structures import Taxonomy

VOC = Taxonomy.from_names([f"class {index}" for index in range(21)])


@pytest.mark.parametrize(
    ("encoder", "golden", "millions"),
    [
        ("resnet50", 27_357_525, 27),
        ("resnet101", 46_349_653, 46),
        ("resnet152", 61_993_301, 62),
    ],
)
def test_parameters_are_the_published_ones(encoder: str, golden: int, millions: int):
    """The README of the authors: 27, 46 and 62 million."""
    decoder = 2048 * 512 + 4 * 512 * 512
    decoder += (1024 + 256 + 512) * 256 + 4 * 256 * 256  # 512 of the coarser block
    decoder += (512 + 2 * 256) * 256 + 4 * 256 * 256
    decoder += (256 + 2 * 256) * 256 + 4 * 256 * 256
    decoder += 9 * 256 * 21 + 21
    model = build_model("light_weight_refinenet", VOC, {"encoder": encoder})
    counted = sum(parameter.numel() for parameter in model.parameters())
    backbone: Any = build_encoder(encoder)
    assert counted == golden
    assert counted == decoder + sum(one.numel() for one in backbone.parameters())
    assert round(counted / 1e6) == millions


def test_only_the_classifier_looks_around():
    model: Any = build_model("light_weight_refinenet", TAXONOMY, {"encoder": "resnet18"})
    convs = [layer for layer in model.blocks.modules() if isinstance(layer, nn.Conv2d)]
    assert {conv.kernel_size for conv in convs} == {(1, 1)}
    assert all(conv.bias is None for conv in convs)
    assert model.classifier.kernel_size == (3, 3)


def test_a_block_reduces_fuses_and_pools():
    torch.manual_seed(0)
    block: Any = LightRefineBlock(6, 10, 4)
    fine, coarse = torch.randn(1, 6, 8, 8), torch.randn(1, 10, 4, 4)
    enlarged = F.interpolate(block.fuse_coarse(coarse), scale_factor=2, mode="bilinear")
    x = (block.fuse_fine(block.reduce(fine)) + enlarged).relu()
    total, link = x, x
    for conv in block.pool.convs:
        link = conv(F.max_pool2d(link, 5, 1, 2))
        total = total + link
    torch.testing.assert_close(block(fine, coarse), total)


def test_dropout_meets_the_two_coarsest_maps_alone():
    options = {"encoder": "resnet18", "channels": 8}
    model: Any = build_model("light_weight_refinenet", TAXONOMY, options)
    seen: list[int] = []
    model.dropout.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[1]))
    with torch.no_grad():
        model.eval().score(torch.zeros(1, 3, 32, 32))
    assert seen == [512, 256]
