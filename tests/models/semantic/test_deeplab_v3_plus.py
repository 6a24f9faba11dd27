from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.support.small_models import TAXONOMY
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from segscape.models import build_model
from segscape.models.semantic.deeplab_v3_plus import DeepLabV3Plus
from segscape.structures import RecipeError, Taxonomy

VOC = Taxonomy.from_names([f"class {index}" for index in range(21)])


class Pyramid(nn.Module):
    """An encoder of given strides with channels 4, 5, 6 ..."""

    size_multiple = 16

    def __init__(self, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.strides = strides
        self.channels = tuple(4 + index for index in range(len(strides)))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        batch, _, height, width = pixels.shape
        return [
            torch.randn(batch, count, height // stride, width // stride, generator=generator)
            for count, stride in zip(self.channels, self.strides, strict=True)
        ]


def multiply_adds(**options: Any) -> float:
    """Billions for 513 x 513 pixels, which are padded to 528."""
    torch.manual_seed(0)
    model: Any = build_model("deeplab_v3_plus", VOC, options).eval().to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.score(torch.zeros(1, 3, 528, 528, device="meta"))
    return counter.get_total_flops() / 2e9


def test_multiply_adds_of_xception_are_the_published_ones():
    """Table 5 of the paper: 89.76 and, with separable convolutions (SC), 54.17 billion."""
    plain, separable = multiply_adds(separable=False), multiply_adds()
    assert plain == pytest.approx(89.76, rel=0.02)
    assert separable == pytest.approx(54.17, rel=0.02)
    assert 0.33 < 1 - separable / plain < 0.41  # "33 % to 41 %", sec. 4.3


def test_the_decoder_is_the_papers():
    torch.manual_seed(0)
    encoder = Pyramid((2, 4, 4, 8, 16))
    model: Any = DeepLabV3Plus(TAXONOMY, encoder, separable=False).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features) * 0.1
    assert [tuple(one.conv.weight.shape) for one in (model.reduce, *model.decoder)] == [
        (48, 6, 1, 1),  # the deepest map of stride 4 has 6 channels
        (256, 304, 3, 3),
        (256, 256, 3, 3),
    ]
    pixels = torch.zeros(1, 3, 32, 48)
    with torch.no_grad():
        maps = encoder(pixels)
        x = F.interpolate(model.aspp(maps[4]), (8, 12), mode="bilinear", align_corners=False)
        x = torch.cat([x, model.reduce(maps[2])], 1)
        for layer in model.decoder:
            x = F.relu(layer.norm(layer.conv(x)))
        expected = F.interpolate(model.classifier(x), (32, 48), mode="bilinear")
        torch.testing.assert_close(model.score(pixels).logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("output_stride", [8, 16])
def test_xception_65_joins_the_map_before_the_stride_to_8(output_stride: int):
    torch.manual_seed(0)
    model: Any = build_model("deeplab_v3_plus", TAXONOMY, {"output_stride": output_stride}).eval()
    assert model.encoder.channels[-1] == 2048
    assert model.reduce.conv.in_channels == 256
    assert model.strides == (4, output_stride)
    # 65 layers: two in the stem and three separable convolutions in each block.
    blocks = [one for name, one in model.encoder.backbone.named_children() if "blocks" in name]
    assert len(blocks) == 21
    assert 2 + 3 * len(blocks) == 65
    assert not [one for one in model.encoder.backbone.modules() if isinstance(one, nn.MaxPool2d)]
    rates = [one.depthwise.dilation[0] for one in list(model.aspp.branches)[1:4]]
    assert rates == [rate * 16 // output_stride for rate in (6, 12, 18)]
    with torch.no_grad():
        assert model.score(torch.randn(1, 3, 32, 48)).logits.shape == (1, 3, 32, 48)


def test_a_residual_network_with_multi_grid():
    torch.manual_seed(0)
    options = {"encoder": "resnet50", "multi_grid": [1, 2, 4], "separable": False}
    model: Any = build_model("deeplab_v3_plus", TAXONOMY, options)
    assert [block.conv2.dilation[0] for block in model.encoder.backbone.layer4] == [2, 4, 8]
    assert model.reduce.conv.in_channels == 256


def test_encoders_without_a_map_of_stride_4_are_refused():
    with pytest.raises(RecipeError, match="needs one of 4"):
        DeepLabV3Plus(TAXONOMY, Pyramid((2, 8, 16)))
