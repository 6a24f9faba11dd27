"""Scale and crop in one step are scale and crop."""

import numpy as np
import pytest
import torch
from tests.support.samples import TAXONOMY, drawn_sample

from segscape.structures import LabelMap, Sample, Size
from segscape.transforms import RandomResizedCrop, generator_for
from segscape.transforms.resize import resized


def gradient_sample(height: int, width: int) -> Sample[LabelMap]:
    """Channel 0 counts rows, channel 1 columns."""
    rows = torch.arange(height, dtype=torch.uint8)[:, None].expand(height, width)
    columns = torch.arange(width, dtype=torch.uint8)[None].expand(height, width)
    labels = torch.zeros(height, width, dtype=torch.uint8)
    return Sample(torch.stack([rows, columns, columns]), LabelMap(labels, TAXONOMY), "gradient")


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.7])
def test_a_window_has_the_scale_that_was_asked_for(factor: float) -> None:
    sample = gradient_sample(200, 240)
    crop = RandomResizedCrop(60, 80, (factor, factor))(sample, generator_for(1, 0, 0))
    down = float(crop.image[0, 50, 40]) - float(crop.image[0, 10, 40])
    across = float(crop.image[1, 30, 70]) - float(crop.image[1, 30, 10])
    assert down == pytest.approx(40 / factor, abs=1.6)
    assert across == pytest.approx(60 / factor, abs=1.6)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.4])
def test_as_scaling_everything_and_cropping(factor: float) -> None:
    sample = gradient_sample(200, 240)
    crop = RandomResizedCrop(60, 80, (factor, factor))(sample, generator_for(2, 0, 0))
    whole = resized(sample, Size(round(200 * factor), round(240 * factor)))
    # The place is read off the middle of the window.
    top = int((whole.image[0, :, 0].int() - crop.image[0, 30, 40].int()).abs().argmin()) - 30
    left = int((whole.image[1, 0].int() - crop.image[1, 30, 40].int()).abs().argmin()) - 40
    window = whole.image[:, top : top + 60, left : left + 80].int()
    # A grey level is a source pixel here; the window may lie between pixels of the scaled image.
    assert int((window - crop.image.int())[:, 2:-2, 2:-2].abs().max()) <= 2


def test_shrunk_below_the_window_it_is_padded_with_void() -> None:
    sample = drawn_sample(100, 80, void=False)
    for index in range(20):
        crop = RandomResizedCrop(60, 60, (0.3, 0.3))(sample, generator_for(0, 0, index))
        seen = crop.target.labels != 255
        assert int(seen.any(1).sum()) == pytest.approx(30, abs=1)
        assert int(seen.any(0).sum()) == pytest.approx(24, abs=1)
        assert crop.pixel_weights is not None
        assert torch.equal(crop.pixel_weights == 0, ~seen)


def test_covering_leaves_no_void() -> None:
    for height, width in ((100, 80), (30, 200), (1, 1), (61, 59)):
        sample = drawn_sample(height, width, void=False)
        for index in range(10):
            transform = RandomResizedCrop(60, 60, (0.1, 1.5), aspect=(0.5, 2.0), cover=True)
            crop = transform(sample, generator_for(0, 0, index))
            assert not bool((crop.target.labels == 255).any())


def test_scale_is_drawn_evenly_and_aspect_both_ways() -> None:
    sample = gradient_sample(250, 250)
    scales: list[float] = []
    stretches: list[float] = []
    for index in range(400):
        transform = RandomResizedCrop(40, 40, (0.5, 1.5), aspect=(0.5, 2.0))
        crop = transform(sample, generator_for(3, 0, index))
        down = 20 / (float(crop.image[0, 30, 20]) - float(crop.image[0, 10, 20]))
        across = 20 / (float(crop.image[1, 20, 30]) - float(crop.image[1, 20, 10]))
        scales.append(np.sqrt(down * across))
        stretches.append(across / down)
    assert np.mean(scales) == pytest.approx(1.0, abs=0.06)
    assert np.std(scales) == pytest.approx(1 / np.sqrt(12), abs=0.04)
    assert np.median(stretches) == pytest.approx(1.0, abs=0.12)
    assert min(stretches) > 0.42
    assert max(stretches) < 2.3
