"""Against torch's own pooling, whose indices take eight bytes where these take a quarter."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from segscape.ops.unpool import Switches, bed_of_nails, pack, pool_with_switches, unpack, unpool


def few_values(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Whole numbers of a small range: most windows hold their maximum twice."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-2, 3, shape, generator=generator).to(dtype)


def torchs(x: Tensor, window: int) -> tuple[Tensor, Tensor]:
    found: Any = F.max_pool2d(x, window, ceil_mode=True, return_indices=True)
    return found


@settings(max_examples=60)
@given(
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    channels=st.integers(1, 9),
    window=st.integers(1, 5),
    channels_last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_size_window_and_memory_order_equals_torch(
    height: int, width: int, channels: int, window: int, channels_last: bool, seed: int
):
    x = few_values(2, channels, height, width, seed=seed)
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    pooled, switches = pool_with_switches(x, window=window)
    expected, indices = torchs(x, window)
    assert torch.equal(pooled, expected)
    other = torch.randn(pooled.shape)
    scattered = F.max_unpool2d(other, indices, [window, window], output_size=[height, width])
    assert torch.equal(unpool(other, switches), scattered)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_float_types(dtype: torch.dtype):
    x = few_values(1, 3, 7, 6, dtype=dtype)
    pooled, switches = pool_with_switches(x)
    expected, indices = torchs(x.double(), 2)
    assert pooled.dtype == dtype
    assert torch.equal(pooled.double(), expected)
    back = unpool(pooled, switches)
    assert back.dtype == dtype
    assert torch.equal(
        back.double(), F.max_unpool2d(expected, indices, [2, 2], output_size=list(x.shape[2:]))
    )


def test_the_sizes_of_camvid_come_back_as_caffes_pad_out():
    """360 / 16 is 22.5: the fourth pooling gives 23 rows, and its unpooling 45 again."""
    x = torch.randn(1, 1, 45, 60)
    pooled, switches = pool_with_switches(x)
    assert pooled.shape[2:] == (23, 30)
    assert unpool(pooled, switches).shape == x.shape


@pytest.mark.parametrize("window", [2, 3])
def test_gradients_of_both_and_of_their_gradients(window: int):
    torch.manual_seed(0)
    # Distinct values far apart: no finite difference moves a maximum.
    x = torch.randperm(2 * 3 * 5 * 7).reshape(2, 3, 5, 7).double().requires_grad_()
    _, switches = pool_with_switches(x.detach(), window=window)
    y = torch.randn(2, 3, -(-5 // window), -(-7 // window)).double().requires_grad_()

    def pool(values: Tensor) -> Tensor:
        return pool_with_switches(values, window=window)[0]

    def back(values: Tensor) -> Tensor:
        return unpool(values, switches)

    for function, values in ((pool, x), (back, y)):
        assert gradcheck(function, (values,))
        assert gradgradcheck(function, (values,))


def test_the_gradient_is_torchs_with_ties():
    x = few_values(2, 5, 9, 11).requires_grad_()
    pooled, switches = pool_with_switches(x)
    scale = torch.randn(pooled.shape)
    (unpool(pooled * scale, switches) ** 2).sum().backward()
    ours = x.grad
    x.grad = None
    expected, indices = torchs(x, 2)
    (F.max_unpool2d(expected * scale, indices, [2, 2], output_size=[9, 11]) ** 2).sum().backward()
    torch.testing.assert_close(ours, x.grad)


def test_what_training_keeps_is_packed():
    """Both operations keep one and the same tensor of a quarter of a byte per window."""
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor
        return tensor

    x = torch.randn(2, 64, 46, 62, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        pooled, switches = pool_with_switches(x)
        unpool(pooled, switches)
    assert [tensor.dtype for tensor in kept.values()] == [torch.uint8]
    assert sum(tensor.nbytes for tensor in kept.values()) == pooled.numel() // 4
    assert switches.packed.nbytes * 16 == pooled.nbytes


@given(
    channels=st.integers(1, 11), window=st.sampled_from([1, 2, 3, 4, 16]), seed=st.integers(0, 50)
)
def test_packing_loses_nothing(channels: int, window: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    positions = torch.randint(
        0, window * window, (2, channels, 3, 2), dtype=torch.uint8, generator=generator
    )
    packed = pack(positions, window)
    per_byte = {1: 8, 2: 4, 3: 2, 4: 2, 16: 1}[window]
    assert packed.shape == (2, -(-channels // per_byte), 3, 2)
    assert torch.equal(unpack(packed, channels, window), positions)


def test_the_memory_order_is_kept():
    x = torch.randn(1, 8, 6, 6).to(memory_format=torch.channels_last)
    pooled, switches = pool_with_switches(x)
    for tensor in (pooled, switches.packed, unpool(pooled, switches)):
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_bed_of_nails_is_a_transposed_convolution_with_one_nail():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    kernel = torch.zeros(3, 1, 3, 3, dtype=torch.float64)
    kernel[:, :, 0, 0] = 1
    expected = F.conv_transpose2d(x, kernel, stride=3, groups=3)
    assert torch.equal(bed_of_nails(x, 3), expected)
    assert gradcheck(lambda values: bed_of_nails(values, 2), (x,))


def test_wrong_arguments_are_refused():
    x = torch.randn(1, 4, 5, 6)
    pooled, switches = pool_with_switches(x)
    with pytest.raises(ValueError, match="pooling window is 17"):
        pool_with_switches(x, window=17)
    with pytest.raises(ValueError, match="give one value per switch"):
        unpool(pooled[:, :, 1:], switches)
    with pytest.raises(ValueError, match="give one value per switch"):
        unpool(pooled.repeat(1, 2, 1, 1), switches)
    with pytest.raises(ValueError, match="give one value per switch"):
        unpool(pooled, Switches(switches.packed, (5, 8)))
    with pytest.raises(ValueError, match="stride is 0"):
        bed_of_nails(x, 0)
