"""U-Net's elastic deformation against its description."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.support.samples import TAXONOMY, drawn_sample

from segscape.structures import LabelMap, Sample
from segscape.transforms import Elastic, generator_for


def gradient(size: int) -> Sample[LabelMap]:
    """A picture in which a grey level is one pixel of displacement."""
    rows = torch.arange(size, dtype=torch.uint8)[:, None].expand(size, size)
    return Sample(
        torch.stack([rows, rows.T, rows]),
        LabelMap(torch.zeros(size, size, dtype=torch.uint8), TAXONOMY),
        "gradient",
    )


def displacement(sample: Sample[LabelMap], index: int) -> np.ndarray:
    moved = Elastic()(sample, generator_for(0, 0, index)).image[:2].float()
    return (moved - sample.image[:2].float()).numpy()


def test_the_field_is_the_bicubic_surface_of_the_drawn_vectors() -> None:
    sample = gradient(241)
    stream = generator_for(0, 0, 5)
    stream.random()
    vectors = torch.from_numpy(stream.normal(0.0, 10.0, (2, 3, 3)))
    field = F.interpolate(vectors[None], size=(241, 241), mode="bicubic", align_corners=True)[0]
    found = displacement(sample, 5)[:, 50:-50, 50:-50]
    assert np.abs(found - field.numpy()[:, 50:-50, 50:-50]).max() <= 0.51
    # A cubic through its nodes: the middle of the image moves by the middle vector.
    assert np.abs(found[:, 70, 70] - vectors[:, 1, 1].numpy()).max() <= 0.51


def test_the_middle_node_has_a_deviation_of_ten_pixels() -> None:
    sample = gradient(121)
    middle = np.concatenate([displacement(sample, index)[:, 60, 60] for index in range(300)])
    assert np.std(middle) == pytest.approx(10.0, abs=1.0)
    assert abs(np.mean(middle)) < 1.2


def test_no_displacement_changes_nothing() -> None:
    sample = drawn_sample(30, 41)
    still = Elastic(sigma_px=0.0)(sample, generator_for(0, 0, 0))
    assert torch.equal(still.image, sample.image)
    assert torch.equal(still.target.labels, sample.target.labels)
    assert Elastic(probability=0.0)(sample, generator_for(0, 0, 0)) is sample


def test_nothing_becomes_void() -> None:
    sample = drawn_sample(30, 41, void=False)
    for index in range(20):
        moved = Elastic(40.0)(sample, generator_for(0, 0, index))
        assert not bool((moved.target.labels == 255).any())
