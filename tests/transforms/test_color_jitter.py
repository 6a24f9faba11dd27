"""Light and colour against torchvision and by hand."""

import numpy as np
import pytest
import torch
from tests.support.samples import noise_sample
from torchvision.transforms.v2 import functional as tv

from segscape.transforms import ColorJitter, generator_for
from segscape.transforms.color_jitter import _by_matrix, _by_table, _color_matrix, _mean_brightness

LUMA = torch.tensor([0.299, 0.587, 0.114])


def soft_image() -> torch.Tensor:
    """Colours that stay within 0..255 at the factors used here: clipping would hide the rule."""
    return noise_sample(40, 50).image // 4 + 90


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.3])
def test_brightness_contrast_and_saturation_as_torchvision(factor: float) -> None:
    image = soft_image()
    mean = _mean_brightness(image)
    pairs = [
        (_by_table(image, factor, 0.0), tv.adjust_brightness(image, factor)),
        (_by_table(image, factor, (1 - factor) * mean), tv.adjust_contrast(image, factor)),
        (_by_matrix(image, _color_matrix(factor, 0.0), 0.0), tv.adjust_saturation(image, factor)),
    ]
    for ours, theirs in pairs:
        # torchvision cuts fractions off, and rounds grey before it blends.
        assert int((ours.int() - theirs.int()).abs().max()) <= 2


def test_table_and_matrix_agree() -> None:
    image = noise_sample(30, 30).image
    for gain, shift in ((1.4, -30.0), (0.3, 80.0)):
        by_table = _by_table(image, gain, shift)
        by_matrix = _by_matrix(image, gain * np.eye(3), shift)
        assert int((by_table.int() - by_matrix.int()).abs().max()) <= 1


def test_hue_turns_about_grey_and_keeps_brightness() -> None:
    image = soft_image()
    for turn in (0.1, 0.33, 0.5):
        turned = _by_matrix(image, _color_matrix(1.0, turn), 0.0)
        before, after = (torch.einsum("c,chw->hw", LUMA, i.float()) for i in (image, turned))
        assert float((before - after).abs().max()) <= 0.51
        assert float((turned.float() - image.float()).abs().max()) > 3
        back = _by_matrix(turned, _color_matrix(1.0, -turn), 0.0)
        assert int((back.int() - image.int()).abs().max()) <= 2
    assert np.allclose(_color_matrix(1.0, 0.25) @ np.ones(3), 1.0)
    assert np.allclose(np.linalg.matrix_power(_color_matrix(1.0, 0.2), 5), np.eye(3))


def test_factors_stay_in_their_interval() -> None:
    sample = noise_sample(8, 8)
    flat = torch.full((3, 8, 8), 100, dtype=torch.uint8)
    sample = type(sample)(flat, sample.target, sample.key)
    values = [
        int(ColorJitter(brightness=0.3)(sample, generator_for(0, 0, i)).image[0, 0, 0])
        for i in range(500)
    ]
    assert 70 <= min(values) <= 72
    assert 128 <= max(values) <= 130
    # Contrast, saturation and hue leave an even grey as it is.
    for option in ("contrast", "saturation", "hue"):
        jitter = ColorJitter(**{option: 0.5})
        assert torch.equal(jitter(sample, generator_for(0, 0, 0)).image, flat)


def test_no_options_change_nothing() -> None:
    sample = noise_sample(9, 9)
    assert torch.equal(ColorJitter()(sample, generator_for(0, 0, 0)).image, sample.image)
    assert ColorJitter(0.5, probability=0.0)(sample, generator_for(0, 0, 0)) is sample


def test_one_option_does_not_move_the_draws_of_another() -> None:
    sample = noise_sample(9, 9, channels=1)
    one = ColorJitter(brightness=0.5)(sample, generator_for(0, 0, 3))
    other = ColorJitter(brightness=0.5, saturation=0.5, hue=0.2)(sample, generator_for(0, 0, 3))
    assert torch.equal(one.image, other.image)
