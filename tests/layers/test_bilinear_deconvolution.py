import pytest
import torch
import torch.nn.functional as F

from segscape.layers.bilinear_deconvolution import BilinearDeconvolution


@pytest.mark.parametrize("stride", [2, 8, 16, 32])
@pytest.mark.parametrize("learned", [False, True])
def test_begins_as_bilinear_interpolation(stride: int, learned: bool):
    layer = BilinearDeconvolution(3, stride=stride, learned=learned)
    x = torch.randn(2, 3, 5, 6)
    out = layer(x)
    assert out.shape == (2, 3, 6 * stride, 7 * stride)
    # The uncropped margin holds the fall to zero beyond the border; inside is interpolation, which
    # differs from torch's only where that repeats the border.
    half = stride // 2
    inner = out[:, :, half:-half, half:-half]
    expected = F.interpolate(x, scale_factor=stride, mode="bilinear", align_corners=False)
    inside = (..., slice(half, -half), slice(half, -half))
    torch.testing.assert_close(inner[inside], expected[inside])


def test_only_a_learned_one_has_parameters():
    assert [*BilinearDeconvolution(3, stride=2, learned=False).state_dict()] == []
    assert [*BilinearDeconvolution(3, stride=2, learned=True).state_dict()] == ["kernel"]


def test_an_odd_kernel_meets_every_input_in_the_middle():
    """An output of the odd kernel lies on an input: there it is the input itself."""
    layer = BilinearDeconvolution(2, stride=32, learned=False, side=63)
    x = torch.randn(1, 2, 4, 5)
    out = layer(x)
    assert out.shape == (1, 2, 3 * 32 + 63, 4 * 32 + 63)
    torch.testing.assert_close(out[:, :, 31::32, 31::32], x)
    torch.testing.assert_close(out[:, :, 31 + 8, 31], 0.75 * x[:, :, 0, 0] + 0.25 * x[:, :, 1, 0])
