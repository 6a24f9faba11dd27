from typing import Any

import pytest
import torch
from torchvision.models.segmentation import deeplabv3

from segscape.layers.aspp import ASPP
from segscape.layers.separable_conv import SeparableConvBatchNormReLU


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_equals_torchvisions():
    torch.manual_seed(0)
    theirs: Any = deeplabv3.ASPP(12, [6, 12, 18], 8).eval()
    ours = ASPP(12, rates=(6, 12, 18), out_channels=8).eval()
    for tensor in [*theirs.parameters(), *theirs.buffers()]:
        if tensor.dtype == torch.float32:
            tensor.data.uniform_(0.1, 1)
    # Both list branches, pooling and projection in this order, each a convolution and its norm.
    names = list(ours.state_dict())
    assert len(names) == len(theirs.state_dict())
    ours.load_state_dict(dict(zip(names, theirs.state_dict().values(), strict=True)))
    x = torch.randn(2, 12, 21, 30)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


def test_parameters_of_the_papers_pyramid():
    pyramid = ASPP(2048, rates=(6, 12, 18))
    branches = 2 * 2048 * 256 + 3 * 9 * 2048 * 256 + 5 * 2 * 256
    assert count(pyramid) == branches + 5 * 256 * 256 + 2 * 256


def test_a_batch_of_one_can_be_trained_on():
    torch.manual_seed(0)
    pyramid = ASPP(3, rates=(6, 12), out_channels=4).train()
    pyramid(torch.randn(1, 3, 1, 2)).sum().backward()
    assert all(parameter.grad is not None for parameter in pyramid.parameters())


def test_dropout_is_of_training_only():
    torch.manual_seed(0)
    pyramid = ASPP(3, rates=(1,), out_channels=8, dropout=0.9)
    x = torch.randn(4, 3, 9, 9)
    pyramid.eval()
    assert torch.equal(pyramid(x), pyramid(x))
    kept = (pyramid.train()(x) != 0).float().mean()
    assert kept < 0.2


@pytest.mark.parametrize("dilation", [1, 3])
def test_separable_convolution_is_each_channel_alone_then_all(dilation: int):
    torch.manual_seed(0)
    layer = SeparableConvBatchNormReLU(5, 7, dilation=dilation).eval()
    x = torch.randn(2, 5, 9, 11)
    alone = [
        torch.conv2d(x[:, [c]], layer.depthwise.weight[[c]], padding=dilation, dilation=dilation)
        for c in range(5)
    ]
    scale = (1 + 1e-5) ** -0.5
    middle = (torch.cat(alone, 1) * scale).relu()
    expected = (torch.conv2d(middle, layer.pointwise.conv.weight) * scale).relu()
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    assert count(layer) == 9 * 5 + 2 * 5 + 5 * 7 + 2 * 7


def test_separable_pyramids_keep_the_rates():
    pyramid = ASPP(4, rates=(6, 12, 18), out_channels=4, separable=True)
    rates = [
        one.depthwise.dilation[0]
        for one in pyramid.branches
        if isinstance(one, SeparableConvBatchNormReLU)
    ]
    assert rates == [6, 12, 18]
