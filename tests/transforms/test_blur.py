"""Blur against scipy, noise against its definition."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from tests.support.samples import noise_sample

from segscape.transforms import Blur, Noise, generator_for


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.3])
@pytest.mark.parametrize("size", [(30, 41), (1, 20), (3, 2)])
def test_as_scipy(sigma: float, size: tuple[int, int]) -> None:
    sample = noise_sample(*size)
    blurred = Blur((sigma, sigma))(sample, generator_for(0, 0, 0)).image
    for channel in range(3):
        expected = ndimage.gaussian_filter(
            sample.image[channel].numpy().astype(float), sigma, mode="reflect", truncate=5.0
        )
        # Ours ends at three sigma, which holds 99.7 % of the mass.
        assert np.abs(blurred[channel].numpy() - expected).max() <= 2.0


def test_a_width_of_nothing_changes_nothing() -> None:
    sample = noise_sample(5, 5)
    for sigma in (0.0, 1e-200, 0.09):
        still = Blur((sigma, sigma))(sample, generator_for(0, 0, 0))
        assert torch.equal(still.image, sample.image)


def test_an_even_image_stays_even() -> None:
    sample = noise_sample(7, 9)
    flat = replace(sample, image=torch.full((3, 7, 9), 255, dtype=torch.uint8))
    assert torch.equal(Blur((4.0, 4.0))(flat, generator_for(0, 0, 0)).image, flat.image)


def test_noise_has_the_deviation_asked_for() -> None:
    sample = noise_sample(200, 200)
    grey = replace(sample, image=torch.full((3, 200, 200), 128, dtype=torch.uint8))
    noisy = Noise((12.0, 12.0))(grey, generator_for(0, 0, 0)).image.float()
    assert float(noisy.std()) == pytest.approx(12.0, rel=0.02)
    assert float(noisy.mean()) == pytest.approx(128.0, abs=0.2)
    channels = noisy.flatten(1) - 128
    assert abs(float((channels[0] * channels[1]).mean())) < 3
    other = Noise((12.0, 12.0))(grey, generator_for(0, 0, 1)).image
    assert not torch.equal(other.float(), noisy)
