import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from segscape.ops.gaussian import gaussian_smoothed


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 30), (3, 20, 2), (4, 17, 25)])
@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.8, 3.0])
def test_it_is_scipys_with_a_mirrored_border(shape, sigma):
    pixels = np.random.default_rng(0).random(shape).astype(np.float32)
    expected = gaussian_filter(pixels.astype(float), (0, sigma, sigma)) if sigma else pixels
    assert np.allclose(gaussian_smoothed(pixels, sigma), expected, atol=1e-6)


@pytest.mark.parametrize("sigma", [-1.0, float("nan"), float("inf")])
def test_wrong_sigmas_are_refused(sigma):
    with pytest.raises(ValueError, match="expected 0 or more"):
        gaussian_smoothed(np.zeros((1, 2, 2), np.float32), sigma)
