import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segscape.layers.joined_conv import JoinedConv2d, enlarged_conv


def plainly(x: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
    """What the layer stands for: enlarge, then convolve."""
    return F.conv2d(F.interpolate(x, size=size, mode="bilinear"), weight, padding=1)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((1, 1), (7, 5)),
        ((6, 6), (15, 20)),
        ((4, 9), (8, 18)),
        ((3, 5), (3, 5)),
        ((6, 6), (2, 1)),  # more bins than pixels
        ((1, 3), (1, 12)),
    ],
)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_equals_enlarging_and_convolving(source, target, order):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, *source, generator=generator).to(memory_format=order)
    weight = torch.randn(4, 5, 3, 3, generator=generator).to(memory_format=order)
    ours = enlarged_conv(x, weight, target)
    assert ours.shape == (2, 4, *target)
    torch.testing.assert_close(ours, plainly(x, weight, target), atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_enlarging_and_convolving():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 3, 3, 4, generator=generator, requires_grad=True)
    weight = torch.randn(2, 3, 3, 3, generator=generator, requires_grad=True)
    seed = torch.randn(1, 2, 9, 8, generator=generator)
    ours = torch.autograd.grad(enlarged_conv(x, weight, (9, 8)), (x, weight), seed)
    theirs = torch.autograd.grad(plainly(x, weight, (9, 8)), (x, weight), seed)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


def test_weights_are_those_of_one_convolution_over_all_channels():
    torch.manual_seed(2)
    layer = JoinedConv2d(3, [2, 4], 5)
    assert layer.weight.shape == (5, 9, 3, 3)
    assert layer.bias is None
    fine, middle, coarse = (
        torch.randn(2, 3, 8, 12),
        torch.randn(2, 2, 4, 6),
        torch.randn(2, 4, 1, 1),
    )
    joined = [fine] + [F.interpolate(x, size=(8, 12), mode="bilinear") for x in (middle, coarse)]
    expected = F.conv2d(torch.cat(joined, dim=1), layer.weight, padding=1)
    with torch.no_grad():
        torch.testing.assert_close(layer(fine, [middle, coarse]), expected, atol=1e-5, rtol=1e-5)


def test_autocast_and_reduced_weights_stay_near():
    torch.manual_seed(3)
    layer, fine, coarse = (
        JoinedConv2d(8, [8], 8),
        torch.randn(1, 8, 12, 12),
        torch.randn(1, 8, 3, 3),
    )
    with torch.no_grad():
        full = layer(fine, [coarse])
        with torch.autocast("cpu", torch.bfloat16):
            cast = layer(fine, [coarse]).float()
        layer.bfloat16()
        stored = layer(fine.bfloat16(), [coarse.bfloat16()])
    assert stored.dtype == torch.bfloat16
    for rounded in (cast, stored.float()):
        assert (rounded - full).abs().max() < 0.03 * full.abs().max()
