import numpy as np
import pytest
import torch
from skimage.color.colorconv import rgb2lab, rgb2luv

from segscape.ops.color import gray_to_lightness, rgb_to_lab, rgb_to_luv


@pytest.mark.parametrize(("ours", "theirs"), [(rgb_to_luv, rgb2luv), (rgb_to_lab, rgb2lab)])
def test_agrees_with_scikit_image(ours, theirs):
    image = np.random.default_rng(0).random((40, 50, 3))
    image[:4] *= 0.02  # the dark end, where the cube root becomes a line
    ends = np.array([[[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]], dtype=float)
    for pixels in (image, ends):
        found = ours(torch.from_numpy(pixels).float().permute(2, 0, 1)).permute(1, 2, 0).numpy()
        np.testing.assert_allclose(found, theirs(pixels), atol=0.02)


def test_gray_is_the_lightness_of_the_gray_color():
    gray = torch.linspace(0, 1, 101).view(1, 1, -1)
    assert torch.allclose(gray_to_lightness(gray), rgb_to_luv(gray.expand(3, -1, -1))[:1])


def test_values_outside_are_taken_for_the_ends():
    assert torch.equal(
        rgb_to_lab(torch.tensor([-1.0, 2.0, 0.5]).view(3, 1, 1)),
        rgb_to_lab(torch.tensor([0.0, 1.0, 0.5]).view(3, 1, 1)),
    )
