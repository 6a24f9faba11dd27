import pytest
import torch

from segscape.classical.pixels import (
    float_pixels,
    lab_pixels,
    luv_pixels,
    refuse_beyond_memory,
    unit_pixels,
)
from segscape.structures import MethodError


@pytest.mark.parametrize(
    ("dtype", "full"),
    [(torch.uint8, 255), (torch.uint16, 65535), (torch.int32, 65535), (torch.int16, 32767)],
)
def test_integers_are_brought_to_one_by_their_full_scale(dtype, full):
    image = torch.tensor([0, full]).to(dtype).view(1, 1, 2)
    assert unit_pixels(image, "m").flatten().tolist() == [0, 1]


def test_floats_of_any_range_are_taken_as_they_are():
    image = torch.tensor([-3.0, 7.5], dtype=torch.float64).view(1, 1, 2)
    assert float_pixels(image, "m").flatten().tolist() == [-3, 7.5]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bring", [unit_pixels, luv_pixels, lab_pixels])
def test_a_picture_of_another_unit_is_refused_with_the_cure(channels, bring):
    with pytest.raises(MethodError, match=r"of 0 to 255, expected 0 to 1: divide"):
        bring(torch.tensor([0.0, 255.0]).repeat(channels, 1, 1), "m")


def test_overshoot_is_no_other_unit_and_features_have_any():
    overshoot = torch.tensor([-0.1, 1.2]).view(1, 1, 2)
    assert unit_pixels(overshoot, "m").equal(overshoot)
    features = torch.tensor([-30.0, 255.0]).repeat(2, 1, 1)
    assert unit_pixels(features, "m").equal(features)


def test_an_image_beyond_memory_is_refused_before_anything_is_made():
    image = torch.zeros(1, 1, 1, dtype=torch.uint8).expand(3, 900_000, 900_000)
    with pytest.raises(MethodError, match=r"would need about .* GB"):
        float_pixels(image, "m")


@pytest.mark.parametrize("shape", [(0, 4, 4), (3, 0, 4)])
def test_an_image_without_pixels_is_refused(shape):
    with pytest.raises(MethodError, match="shape"):
        unit_pixels(torch.zeros(shape), "m")


def test_nan_is_refused_with_its_count():
    image = torch.zeros(3, 4, 4)
    image[0, 0, :2] = torch.tensor([float("nan"), float("inf")])
    with pytest.raises(MethodError, match="2 values that are nan or infinite"):
        unit_pixels(image, "k-means")


def test_complex_numbers_are_no_image():
    with pytest.raises(MethodError, match="complex"):
        unit_pixels(torch.zeros(1, 2, 2, dtype=torch.complex64), "m")


@pytest.mark.parametrize("channels", [1, 2, 3, 200])
def test_colors_of_any_number_of_channels_have_the_range_of_lightness(channels):
    white = torch.full((channels, 2, 2), 255, dtype=torch.uint8)
    for colors in (luv_pixels(white, "m"), lab_pixels(white, "m")):
        assert colors.shape == white.shape
        assert colors[0].eq(colors[0, 0, 0]).all()
        assert float(colors[0, 0, 0]) == pytest.approx(100, abs=0.01)


def test_too_much_memory_is_refused_with_an_estimate():
    with pytest.raises(MethodError, match=r"would need about 1048576.0 GB .*: shrink the image"):
        refuse_beyond_memory(2.0**50, "m", "shrink the image")
    refuse_beyond_memory(1.0, "m", "shrink the image")
