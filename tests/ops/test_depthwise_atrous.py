import pytest
import torch
import torch.nn.functional as F

from segscape.ops.depthwise_atrous import depthwise_atrous_conv


@pytest.mark.parametrize(
    ("size", "kernel", "dilation"),
    [
        ((7, 9), (3, 3), (2, 2)),
        ((5, 6), (3, 3), (9, 9)),  # only the middle taps lie on the map
        ((12, 10), (5, 3), (2, 3)),
        ((1, 1), (3, 3), (4, 4)),
        ((8, 8), (7, 7), (1, 2)),
    ],
)
def test_it_and_its_gradients_are_torchs_in_float64(
    size: tuple[int, int], kernel: tuple[int, int], dilation: tuple[int, int]
):
    torch.manual_seed(0)
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 1, *kernel, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(2, 4, *size, dtype=torch.float64)
    padding = [side // 2 * spread for side, spread in zip(kernel, dilation, strict=True)]
    expected = F.conv2d(x, weight, padding=padding, dilation=dilation, groups=4)
    found = depthwise_atrous_conv(x, weight, dilation)
    torch.testing.assert_close(found, expected)
    # The kernel's gradient is summed in float32.
    for ours, torchs in zip(
        torch.autograd.grad(found, [x, weight], upstream),
        torch.autograd.grad(expected, [x, weight], upstream),
        strict=True,
    ):
        torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=1e-5)


def test_bfloat16_in_channels_last_has_the_kernels_gradient_that_torch_gets_wrong():
    torch.manual_seed(0)
    x = torch.randn(1, 64, 32, 32).bfloat16().to(memory_format=torch.channels_last)
    weight = torch.zeros(64, 1, 3, 3, dtype=torch.bfloat16, requires_grad=True)
    depthwise_atrous_conv(x, weight, (2, 2)).backward(x)
    middle = x.float().square().sum((0, 2, 3))
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad[:, 0, 1, 1].float(), middle, rtol=2**-7, atol=0)
