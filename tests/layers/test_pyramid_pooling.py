from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim, export

from segscape.layers.pyramid_pooling import BINS, PyramidPooling, average_bins


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (6, 6), (7, 13), (60, 45)])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_averages_are_torchs_adaptive_ones(size, order):
    x = torch.randn(2, 3, *size).to(memory_format=order)
    for ours, number in zip(average_bins(x, BINS), BINS, strict=True):
        torch.testing.assert_close(ours, F.adaptive_avg_pool2d(x, number), atol=1e-5, rtol=1e-5)


def test_averages_of_bf16_are_as_near_as_torchs():
    x = (torch.rand(1, 4, 90, 70) + 0.5).bfloat16()
    exact = [F.adaptive_avg_pool2d(x.double(), number) for number in BINS]
    for ours, wanted in zip(average_bins(x, BINS), exact, strict=True):
        assert ours.dtype == torch.bfloat16
        assert ((ours.double() - wanted) / wanted).abs().max() < 0.012


def test_equals_the_plain_module():
    """Torch's own pooling, enlarging and joining, with the same weights."""
    torch.manual_seed(0)
    ours: Any = PyramidPooling(8, 2, 4).eval()
    x = torch.randn(2, 8, 11, 9)
    joined = [x]
    for level, number in zip(ours.levels, BINS, strict=True):
        pooled = F.relu(level.norm(level.conv(F.adaptive_avg_pool2d(x, number))))
        joined.append(F.interpolate(pooled, size=(11, 9), mode="bilinear"))
    plain = F.conv2d(torch.cat(joined, dim=1), ours.fuse.weight, padding=1)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), F.relu(ours.norm(plain)), atol=1e-5, rtol=1e-5)


def test_parameters_by_hand():
    module = PyramidPooling(2048, 512, 512)
    by_hand = 4 * (2048 * 512 + 2 * 512) + 9 * 4096 * 512 + 2 * 512
    assert sum(parameter.numel() for parameter in module.parameters()) == by_hand == 23_073_792


def test_one_image_trains_and_leaves_the_statistics_of_its_single_pixel():
    module: Any = PyramidPooling(4, 2, 3).train()
    module(torch.randn(1, 4, 5, 5)).sum().backward()
    assert module.levels[0].norm.running_mean.eq(0).all()
    assert module.levels[0].norm.running_var.eq(1).all()
    assert module.levels[1].norm.running_mean.ne(0).any()
    assert all(parameter.grad is not None for parameter in module.parameters())
    module(torch.randn(2, 4, 5, 5))
    assert module.levels[0].norm.running_mean.ne(0).any()


def test_one_step_gives_the_same_bits_twice():
    torch.manual_seed(0)
    module, x = PyramidPooling(4, 2, 3), torch.randn(2, 4, 9, 7)
    gradients: list[list[torch.Tensor]] = []
    for _ in range(2):
        module.zero_grad()
        module(x).square().sum().backward()
        gradients.append([one.grad.clone() for one in module.parameters() if one.grad is not None])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


@pytest.mark.usefixtures("sizes_may_be_symbols")
def test_exports_for_any_size():
    module: nn.Module = PyramidPooling(4, 2, 3).eval()
    sides = {2: Dim("height", min=2, max=64), 3: Dim("width", min=2, max=64)}
    program = export(module, (torch.randn(1, 4, 9, 11),), dynamic_shapes=(sides,))
    other = torch.randn(1, 4, 20, 7)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(other), module(other))
