import pytest
import torch
import torch.nn.functional as F
from torch import nn

from segscape.layers.atrous_conv import AtrousConv2d, DepthwiseAtrousConv2d, correct_depthwise

CHANNELS = 1100  # not a multiple of the parts


@pytest.fixture
def layer() -> AtrousConv2d:
    torch.manual_seed(0)
    return AtrousConv2d(CHANNELS, 3, 3, padding=4, dilation=4)


def plain(layer: AtrousConv2d, x: torch.Tensor) -> torch.Tensor:
    return F.conv2d(x, layer.weight, layer.bias, padding=4, dilation=4)


def test_float32_is_torchs_to_the_bit(layer: AtrousConv2d):
    x = torch.randn(2, CHANNELS, 7, 9)
    assert torch.equal(layer(x), plain(layer, x))


@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_in_parts_is_as_near_to_float32_as_the_whole(layer: AtrousConv2d, autocast: bool):
    x = torch.randn(2, CHANNELS, 7, 9).bfloat16()
    layer.weight.data = layer.weight.data.bfloat16().float()
    exact = plain(layer, x.float())
    if autocast:
        with torch.autocast("cpu", torch.bfloat16):
            assert layer._is_slow(x)
            parts = layer(x.float())
    else:
        parts = layer.bfloat16()(x)
    assert parts.dtype == torch.bfloat16
    # Each part and the sum are rounded once to 8 bits.
    assert (parts - exact).abs().max() < 2**-7 * exact.abs().max()


def test_gradients_are_those_of_the_whole(layer: AtrousConv2d):
    x = torch.randn(1, CHANNELS, 6, 6, requires_grad=True)
    upstream = torch.randn(1, 3, 6, 6)
    expected = torch.autograd.grad(plain(layer, x), [x, *layer.parameters()], upstream)
    with torch.autocast("cpu", torch.bfloat16):
        found = torch.autograd.grad(layer(x), [x, *layer.parameters()], upstream.bfloat16())
    for ours, whole in zip(found, expected, strict=True):
        assert (ours - whole).abs().max() < 0.02 * whole.abs().max()


def test_depthwise_in_float32_is_torchs_to_the_bit():
    torch.manual_seed(0)
    layer = DepthwiseAtrousConv2d(4, 4, 3, padding=2, dilation=2, groups=4)
    x = torch.randn(2, 4, 7, 9)
    expected = F.conv2d(x, layer.weight, layer.bias, padding=2, dilation=2, groups=4)
    assert torch.equal(layer(x), expected)


def test_depthwise_under_autocast_learns_as_in_float32():
    torch.manual_seed(0)
    layer = DepthwiseAtrousConv2d(16, 16, 5, padding=4, dilation=2, groups=16)
    x = torch.randn(1, 16, 40, 40).to(memory_format=torch.channels_last).requires_grad_()
    upstream = F.conv2d(x.detach(), layer.weight.detach(), padding=4, dilation=2, groups=16)
    leaves = [x, *layer.parameters()]
    expected = torch.autograd.grad(layer(x), leaves, upstream)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.bfloat16
    for ours, exact in zip(
        torch.autograd.grad(out, leaves, upstream.bfloat16()), expected, strict=True
    ):
        assert (ours - exact).norm() < 0.01 * exact.norm()


def test_correction_takes_the_atrous_layers_of_single_channels_that_keep_the_size():
    layers = {
        "depthwise": nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
        "near": nn.Conv2d(4, 4, 3, padding=1, groups=4),
        "grouped": nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2),
        "shrinking": nn.Conv2d(4, 4, 3, dilation=2, groups=4),
        "striding": nn.Conv2d(4, 4, 3, stride=2, padding=2, dilation=2, groups=4),
        "dense": nn.Conv2d(4, 4, 3, padding=2, dilation=2),
    }
    network = nn.ModuleDict(layers)
    correct_depthwise(network)
    assert [name for name, layer in network.items() if type(layer) is not nn.Conv2d] == [
        "depthwise"
    ]
