import pytest
import torch
import torch.nn.functional as F

from segscape.layers.atrous_conv import AtrousConv2d

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
