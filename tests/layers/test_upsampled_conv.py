import pytest
import torch
import torch.nn.functional as F

from segscape.layers.upsampled_conv import UpsampledConv2d


@pytest.mark.parametrize("channels", [3, 128, 130])
@pytest.mark.parametrize("skip_channels", [0, 5])
@pytest.mark.parametrize("size", [(1, 1), (4, 7)])
@pytest.mark.parametrize("bias", [False, True])
def test_equals_upsampling_joining_and_convolving(
    channels: int, skip_channels: int, size: tuple[int, int], bias: bool
):
    torch.manual_seed(0)
    layer = UpsampledConv2d(channels, skip_channels, 6).double()
    if bias:
        layer.bias = torch.nn.Parameter(torch.randn(6).double())
    x = torch.randn(2, channels, *size, dtype=torch.float64, requires_grad=True)
    skip = torch.randn(2, skip_channels, 2 * size[0], 2 * size[1], dtype=torch.float64)
    joined = torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], dim=1)
    expected = F.conv2d(joined, layer.weight, layer.bias, padding=1)
    found = layer(x, skip if skip_channels else None)
    # The kernel's taps are added in float32.
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(
        torch.autograd.grad(found.square().sum(), [x, layer.weight]),
        torch.autograd.grad(expected.square().sum(), [x, layer.weight]),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-5)
