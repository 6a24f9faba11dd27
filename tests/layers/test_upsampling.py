"""Every way to make a map finer, against its definition."""

import pytest
import torch
import torch.nn.functional as F

from segscape.layers.upsampling import (
    UPSAMPLINGS,
    BedOfNails,
    PixelShuffle,
    TransposedConvolution,
    Upsampling,
)
from segscape.ops.convolution_matrix import convolution_matrix
from segscape.ops.unpool import pool_with_switches
from segscape.structures import StructureError

ALONE = [name for name, part in UPSAMPLINGS.items() if not part.needs_switches]
LEARNED = ["transposed_convolution", "resize_convolution", "pixel_shuffle"]


def part(name: str, channels: int = 2, factor: int = 2) -> Upsampling:
    torch.manual_seed(0)
    return UPSAMPLINGS[name](channels, factor=factor)


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("size", [(1, 1), (4, 5)])
def test_all_give_the_size_wanted_and_gradients_to_everything(
    name: str, factor: int, size: tuple[int, int]
):
    upsample = part(name, factor=factor)
    x = torch.randn(2, 2, *size, requires_grad=True)
    for wanted in [
        (size[0] * factor, size[1] * factor),
        (size[0] * factor - 1, size[1] * factor + 1 - factor),
    ]:
        fine = upsample(x, wanted)
        assert fine.shape == (2, 2, *wanted)
        gradients = torch.autograd.grad(fine.square().sum(), [x, *upsample.parameters()])
        assert all(gradient.any() and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("name", set(ALONE) - {"bilinear", "bicubic"})
def test_sizes_of_another_factor_are_refused(name: str):
    for wanted in [(9, 6), (8, 4)]:
        with pytest.raises(StructureError, match="makes 8 x 6, of which up to 1 may be cut"):
            part(name)(torch.zeros(1, 2, 4, 3), wanted)


@pytest.mark.parametrize("factor", [2, 3])
def test_parts_without_weights_as_defined(factor: int):
    x = torch.randn(1, 2, 4, 5)
    size = 4 * factor, 5 * factor
    block = torch.ones(factor, factor)
    assert torch.equal(part("nearest", factor=factor)(x, size), torch.kron(x, block))
    block = torch.zeros(factor, factor)
    block[0, 0] = 1
    assert torch.equal(part("bed_of_nails", factor=factor)(x, size), torch.kron(x, block))
    for name in ("bilinear", "bicubic"):
        expected = F.interpolate(x, size, mode=name, align_corners=False)
        found = part(name, factor=factor)(x, size)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(8, 6), (9, 7)])
def test_max_unpooling_puts_maxima_back_where_they_were(size: tuple[int, int]):
    fine = torch.rand(2, 3, *size) + 1
    pooled, switches = pool_with_switches(fine)
    back = part("max_unpooling")(pooled, size, switches)
    kept = back != 0
    assert kept.sum() == pooled.numel()
    assert torch.equal(back[kept], fine[kept])
    assert torch.equal(F.max_pool2d(back, 2, ceil_mode=True), pooled)
    with pytest.raises(StructureError, match=f"the pooled map had {size[0]} x {size[1]}"):
        part("max_unpooling")(pooled, (10, 10), switches)


@pytest.mark.parametrize(("factor", "kernel_size"), [(2, 2), (2, 3), (2, 4), (2, 5), (3, 4)])
def test_transposed_convolution_is_the_transposed_matrix(factor: int, kernel_size: int):
    upsample = TransposedConvolution(2, factor=factor, kernel_size=kernel_size)
    a = torch.randn(2, 3, 4)
    fine = upsample(a[None], (3 * factor, 4 * factor))
    weight, padding = upsample.convolution.weight, (kernel_size - factor + 1) // 2
    X = convolution_matrix(weight, fine.shape[2:], stride=factor, padding=padding)
    torch.testing.assert_close((X.T @ a.flatten()).reshape(fine.shape[1:]), fine[0])


def test_transposed_convolution_is_a_convolution_of_a_bed_of_nails():
    upsample = TransposedConvolution(2, kernel_size=3)
    x = torch.randn(1, 2, 4, 5)
    nails = BedOfNails(2)(x, (8, 10))
    # It writes where a convolution reads: the kernel turns by 180 degrees.
    turned = upsample.convolution.weight.transpose(0, 1).flip(2, 3)
    torch.testing.assert_close(upsample(x, (8, 10)), F.conv2d(nails, turned, padding=1))


@pytest.mark.parametrize(
    ("kernel_size", "taps"), [(2, {1}), (3, {1, 2, 4}), (4, {4}), (5, {4, 6, 9}), (6, {9})]
)
def test_taps_over_a_fine_pixel_differ_unless_the_stride_divides_the_kernel(
    kernel_size: int, taps: set[int]
):
    upsample = TransposedConvolution(1, kernel_size=kernel_size)
    torch.nn.init.ones_(upsample.convolution.weight)
    inside = upsample(torch.ones(1, 1, 8, 8), (16, 16))[0, 0, 4:-4, 4:-4]
    assert set(inside.int().flatten().tolist()) == taps


def test_resize_convolution_keeps_a_flat_map_flat_and_random_kernels_do_not():
    flat = torch.randn(1, 2, 1, 1).expand(1, 2, 6, 6)

    def spread(name: str) -> float:
        inside = part(name)(flat, (12, 12))[..., 2:-2, 2:-2]
        return inside.std((2, 3)).max().item()

    assert spread("resize_convolution") < 1e-6
    assert spread("transposed_convolution") > 0.1


def test_pixel_shuffle_lays_channels_out_as_blocks_and_begins_flat():
    torch.manual_seed(0)
    upsample = PixelShuffle(2, factor=3)
    x = torch.randn(1, 2, 4, 5)
    values = upsample.convolution(x)
    fine = upsample(x, (12, 15))
    assert torch.equal(fine[:, 1, 5, 7], values[:, 9 * 1 + 3 * 2 + 1, 1, 2])
    assert torch.equal(fine, torch.kron(values[:, ::9], torch.ones(3, 3)))


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("factor", [2, 3])
def test_learned_parts_begin_with_the_spread_of_their_input(name: str, factor: int):
    fine = part(name, channels=48, factor=factor)(torch.randn(1, 48, 16, 16), (16 * factor,) * 2)
    # Neighbours are equal for a resize convolution: the taps of one sum are correlated.
    assert 0.85 < fine[..., 4:-4, 4:-4].std().item() < 2
