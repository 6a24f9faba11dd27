from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from segscape.encoders import build_encoder
from segscape.encoders.dilation import DilatedAvgPool2d, Window, dilate, set_multi_grid
from segscape.structures import RecipeError


def features(name: str) -> Any:
    torch.manual_seed(0)
    network: Any = timm.create_model(name, features_only=True, pretrained=False)
    for module in network.modules():
        # Statistics that are not zeros and ones, so that padding and normalisation tell.
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.weight, 0.5, 1)
    return network.eval()


def run(network: nn.Module, pixels: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return list(network(pixels))


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet26d",  # means of 2 x 2 on the shortcuts
        "densenet121",  # means of 2 x 2 between stages; timm does not dilate it
        "vgg11",  # maxima of 2 x 2
        "convnext_atto",  # convolutions of 2 x 2 and 7 x 7
        "mobilenetv2_035",
    ],
)
def test_every_coarse_value_stands_in_the_dense_maps(name: str, output_stride: int):
    """The atrous algorithm, by brute force: at the strided positions nothing changes."""
    pixels = torch.randn(1, 3, 64, 96)
    network = features(name)
    strides = network.feature_info.reduction()
    coarse = run(network, pixels)
    dilate(network, output_stride=output_stride, in_channels=3)
    assert not network.training
    dense = run(network, pixels)
    for before, after, stride in zip(coarse, dense, strides, strict=True):
        step = max(1, stride // output_stride)
        assert after.shape[2] == before.shape[2] * step
        torch.testing.assert_close(after[:, :, ::step, ::step], before, atol=1e-4, rtol=1e-4)
        if step > 1:  # and what was not there before is no copy
            assert not torch.allclose(after[:, :, 1::step, 1::step], before, atol=1e-2)


def test_residual_networks_come_out_as_timm_dilates_them():
    ours = features("resnet26")
    theirs: Any = timm.create_model("resnet26", features_only=True, output_stride=8).eval()
    theirs.load_state_dict(ours.state_dict())
    dilate(ours, output_stride=8, in_channels=3)
    pixels = torch.randn(1, 3, 40, 56)
    for mine, other in zip(run(ours, pixels), run(theirs, pixels), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)


class LargeStride(nn.Module):
    """Strides from 4 to 16 in one layer, so that 8 lies in its midst."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 4, stride=4)
        self.pool = nn.AvgPool2d(3, stride=4, padding=1)
        self.last = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.pool(self.first(x)))


def test_a_stride_may_be_left_out_in_part():
    torch.manual_seed(0)
    network = LargeStride()
    pixels = torch.randn(1, 1, 64, 64)
    before = network(pixels)
    dilate(network, output_stride=8, in_channels=1)
    after = network(pixels)
    assert isinstance(network.pool, DilatedAvgPool2d)
    assert network.last.dilation == (2, 2)
    assert after.shape == (1, 1, 8, 8)
    torch.testing.assert_close(after[:, :, ::2, ::2], before, atol=1e-5, rtol=1e-5)


def test_dilated_means_are_grouped_convolutions():
    x = torch.randn(2, 3, 9, 12)
    pool = DilatedAvgPool2d(Window((3, 2), (1, 2), (2, 3), (2, 3), (2, 3)))
    expected = torch.conv2d(
        x, torch.full((3, 1, 3, 2), 1 / 6), stride=(1, 2), padding=(2, 3), dilation=(2, 3), groups=3
    )
    torch.testing.assert_close(pool(x), expected)


def test_weights_keep_their_names():
    network = features("densenet121")
    names = list(network.state_dict())
    dilate(network, output_stride=8, in_channels=3)
    assert list(network.state_dict()) == names


@pytest.mark.parametrize(
    ("name", "strides"),
    [("densenet121", (2, 4, 8, 8, 8)), ("vgg16", (2, 4, 8, 8, 8)), ("resnet18", (2, 4, 8, 8, 8))],
)
def test_any_convolutional_encoder_gives_a_stride_of_8(name: str, strides: tuple[int, ...]):
    encoder: Any = build_encoder(name, output_stride=8)
    assert encoder.strides == strides
    assert encoder.size_multiple == 8
    maps = run(encoder.eval(), torch.randn(1, 3, 24, 40))
    assert [tuple(one.shape[2:]) for one in maps] == [(24 // s, 40 // s) for s in strides]


def test_shuffled_pixels_are_no_stride_that_dilation_knows():
    network = nn.Sequential(nn.Conv2d(1, 4, 3, stride=16), nn.PixelUnshuffle(2))
    with pytest.raises(RecipeError, match="strides in something else"):
        dilate(network, output_stride=16, in_channels=1)


def test_layers_of_their_own_kind_are_named():
    class Odd(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002
            return super().forward(input)

    network = nn.Sequential(nn.Conv2d(1, 1, 3, stride=8), Odd(1, 1, 3, stride=2))
    with pytest.raises(RecipeError, match=r"layer 1 \(Odd\) cannot be dilated"):
        dilate(network, output_stride=8, in_channels=1)


@pytest.mark.parametrize(("output_stride", "rate"), [(32, 1), (16, 2), (8, 4)])
def test_multi_grid_multiplies_the_rate_of_the_last_stage(output_stride: int, rate: int):
    encoder: Any = build_encoder("resnet50", output_stride=output_stride, multi_grid=(1, 2, 4))
    spread = [
        (conv.dilation[0], conv.padding[0])
        for conv in encoder.backbone.layer4.modules()
        if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3)
    ]
    assert spread == [(rate * factor, rate * factor) for factor in (1, 2, 4)]
    assert encoder.backbone.layer3[1].conv2.dilation[0] == max(1, rate // 2)
    side = 2 * output_stride
    assert run(encoder.eval(), torch.zeros(1, 3, side, side))[-1].shape[2:] == (2, 2)


def test_multi_grid_needs_one_factor_per_block():
    with pytest.raises(RecipeError, match="found 2 blocks"):
        build_encoder("resnet18", multi_grid=(1, 2, 4))
    with pytest.raises(RecipeError, match="found no blocks"):
        build_encoder("convnext_atto", multi_grid=(1, 2, 4))
    with pytest.raises(RecipeError, match="'vgg16' has no residual blocks"):
        build_encoder("vgg16", multi_grid=(1, 2, 4))
    with pytest.raises(RecipeError, match="found no blocks"):
        set_multi_grid(nn.Sequential(nn.ReLU()), (1,))
