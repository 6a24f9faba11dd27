"""Interpolation by matrices against torch's kernels."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from segscape.ops.interpolation import Method, interpolate, interpolation_matrix

METHODS = ("bilinear", "bicubic")
SIDES = st.integers(1, 19)


@settings(max_examples=150)
@given(h=SIDES, w=SIDES, height=SIDES, width=SIDES, method=st.sampled_from(METHODS))
def test_equals_torch_forward_and_backward(h: int, w: int, height: int, width: int, method: Method):
    torch.manual_seed(0)
    maps = torch.randn(2, 3, h, w, requires_grad=True)
    ours = interpolate(maps, (height, width), method=method)
    theirs = F.interpolate(maps, size=(height, width), mode=method, align_corners=False)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    upstream = torch.randn_like(ours)
    for one, other in zip(
        torch.autograd.grad(ours, maps, upstream),
        torch.autograd.grad(theirs, maps, upstream),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("source", "target"), [(1, 7), (5, 5), (7, 50), (50, 7)])
def test_weights_of_a_pixel_sum_to_one(method: Method, source: int, target: int):
    sums = interpolation_matrix(source, target, method=method).sum(1)
    torch.testing.assert_close(sums, torch.ones(target, dtype=torch.float64))


@pytest.mark.parametrize("method", METHODS)
def test_sums_run_in_float32_under_autocast(method: Method):
    maps = torch.randn(1, 2, 9, 11)
    exact = interpolate(maps, (31, 30), method=method)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(interpolate(maps, (31, 30), method=method), exact)
    few_bits = maps.bfloat16()
    rounded_once = interpolate(few_bits.float(), (31, 30), method=method).bfloat16()
    assert torch.equal(interpolate(few_bits, (31, 30), method=method), rounded_once)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="atomic additions are CUDA's")
@pytest.mark.parametrize("method", METHODS)
def test_gradient_is_the_same_bits_at_every_run_on_cuda(method: Method):
    maps = torch.randn(4, 32, 33, 47, device="cuda", requires_grad=True)
    fine = interpolate(maps, (264, 376), method=method)
    upstream = torch.randn_like(fine)
    first, *others = (
        torch.autograd.grad(fine, maps, upstream, retain_graph=True)[0] for _ in range(20)
    )
    assert all(torch.equal(first, other) for other in others)


def test_refuses_empty_lines():
    with pytest.raises(ValueError, match="at least 1"):
        interpolate(torch.zeros(1, 1, 2, 2), (0, 3))
