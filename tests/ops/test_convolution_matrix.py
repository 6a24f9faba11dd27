"""The explicit matrix of a convolution against torch's convolutions."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from segscape.ops.convolution_matrix import convolution_matrix


@settings(max_examples=60)
@given(
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    size=st.tuples(st.integers(5, 8), st.integers(5, 8)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
)
def test_is_the_convolution_and_its_transpose_the_transposed_one(
    channels: tuple[int, int],
    kernel: tuple[int, int],
    size: tuple[int, int],
    stride: int,
    padding: int,
    dilation: int,
):
    torch.manual_seed(0)
    weight = torch.randn(*channels, *kernel, dtype=torch.float64)
    a = torch.randn(channels[1], *size, dtype=torch.float64)
    X = convolution_matrix(weight, size, stride=stride, padding=padding, dilation=dilation)
    b = F.conv2d(a[None], weight, None, stride, padding, dilation)[0]
    torch.testing.assert_close((X @ a.flatten()).reshape(b.shape), b)
    # The input may hold rows at its end that no window reaches.
    rest = [
        (side + 2 * padding - dilation * (taps - 1) - 1) % stride
        for side, taps in zip(size, kernel, strict=True)
    ]
    transposed = F.conv_transpose2d(b[None], weight, None, stride, padding, rest, 1, dilation)[0]
    assert transposed.shape == a.shape
    torch.testing.assert_close((X.T @ b.flatten()).reshape(a.shape), transposed)


def test_holds_no_entry_for_zeros_of_the_padding():
    X = convolution_matrix(torch.ones(1, 1, 3, 3), (3, 3), padding=1)
    # A 3 x 3 window meets 4, 6 or 9 pixels of a 3 x 3 map: 4 corners, 4 edges, the middle.
    assert X.values().numel() == 4 * 4 + 4 * 6 + 9
    assert X.to_dense()[4].tolist() == [1.0] * 9


def test_gradients_reach_the_weight():
    weight = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    a = torch.randn(1, 5, 5, dtype=torch.float64)
    ours = torch.autograd.grad((convolution_matrix(weight, (5, 5)) @ a.flatten()).sum(), weight)
    theirs = torch.autograd.grad(F.conv2d(a[None], weight).sum(), weight)
    torch.testing.assert_close(ours, theirs)


def test_refuses_what_is_no_convolution():
    weight = torch.ones(1, 1, 3, 3)
    with pytest.raises(ValueError, match="does not fit an input of 2"):
        convolution_matrix(weight, (2, 5))
    with pytest.raises(ValueError, match="stride 0"):
        convolution_matrix(weight, (5, 5), stride=0)
