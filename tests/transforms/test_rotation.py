"""Rotation at angles that can be checked exactly."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from tests.support.samples import drawn_sample, noise_sample

from segscape.transforms import Rotation, generator_for
from segscape.transforms.warp import pixel_centers, warped


class Fixed(np.random.Generator):
    """Draws the upper end of every interval."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def uniform(self, low: float, high: float) -> float:  # type: ignore[override]
        return high


def test_half_and_quarter_turns_lose_nothing() -> None:
    sample = noise_sample(9, 9)
    half = Rotation(180.0)(sample, Fixed())
    assert torch.equal(half.image, sample.image.flip(1, 2))
    assert torch.equal(half.target.labels, sample.target.labels.flip(0, 1))
    quarter = Rotation(90.0)(sample, Fixed())
    assert torch.equal(quarter.target.labels, torch.rot90(sample.target.labels, -1))
    assert torch.equal(quarter.image, torch.rot90(sample.image, -1, (1, 2)))


def test_no_angle_changes_nothing() -> None:
    sample = drawn_sample(20, 31)
    still = Rotation(0.0)(sample, generator_for(0, 0, 0))
    assert torch.equal(still.image, sample.image)
    assert torch.equal(still.target.labels, sample.target.labels)


def test_corners_are_void_or_mirrored() -> None:
    sample = drawn_sample(40, 40, void=False)
    void = Rotation(45.0)(sample, Fixed())
    corners = void.target.labels[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.tolist() == [255] * 4
    # What the turned square leaves of the square: 2 (sqrt 2 - 1) = 0.828.
    share = float((void.target.labels != 255).float().mean())
    assert share == pytest.approx(0.828, abs=0.02)
    mirrored = Rotation(45.0, outside="mirror")(sample, Fixed())
    assert not bool((mirrored.target.labels == 255).any())
    assert torch.equal(void.image, mirrored.image)


def test_warping_as_scipy() -> None:
    generator = np.random.default_rng(0)
    sample = noise_sample(17, 23)
    sample = replace(sample, pixel_weights=torch.rand(17, 23))
    down = generator.normal(0, 25, (17, 23)).astype(np.float32)
    across = generator.normal(0, 25, (17, 23)).astype(np.float32)
    rows = pixel_centers(17)[:, None] + torch.from_numpy(down)
    columns = pixel_centers(23)[None] + torch.from_numpy(across)
    result = warped(sample, rows, columns, void_outside=False)
    # scipy counts from pixel centres; its `reflect` mirrors at the pixels' outer edge.
    places = np.stack([rows.numpy().astype(float) - 0.5, columns.numpy().astype(float) - 0.5])
    for channel in range(3):
        expected = ndimage.map_coordinates(
            sample.image[channel].numpy().astype(float), places, order=1, mode="reflect"
        )
        assert np.abs(result.image[channel].numpy() - expected).max() <= 0.52
    labels = ndimage.map_coordinates(sample.target.labels.numpy(), places, order=0, mode="reflect")
    assert np.mean(labels != result.target.labels.numpy()) < 0.01
    assert result.pixel_weights is not None
    assert set(result.pixel_weights.flatten().tolist()) <= set(
        torch.as_tensor(sample.pixel_weights).flatten().tolist()
    )
