"""The border weights travel in the sample."""

import subprocess
import sys

import pytest
import torch
from tests.support.samples import drawn_sample

from segscape.ops.border_weights import border_weights
from segscape.structures import StructureError
from segscape.transforms import BorderWeights, generator_for


def test_weights_are_those_of_the_op() -> None:
    sample = drawn_sample(50, 60, weights=False)
    weighted = BorderWeights(2, w0=7.0, sigma_px=3.0)(sample, generator_for(0, 0, 0))
    expected = border_weights(sample.target.labels, foreground=2, w0=7.0, sigma_px=3.0)
    assert weighted.pixel_weights is not None
    assert torch.equal(weighted.pixel_weights, expected)
    assert float(weighted.pixel_weights[sample.target.labels == 255].abs().sum()) == 0.0


def test_earlier_weights_are_multiplied() -> None:
    sample = drawn_sample(50, 60)
    plain = drawn_sample(50, 60, weights=False)
    both, alone = (BorderWeights(1)(s, generator_for(0, 0, 0)) for s in (sample, plain))
    assert sample.pixel_weights is not None
    assert both.pixel_weights is not None
    assert alone.pixel_weights is not None
    assert torch.allclose(both.pixel_weights, alone.pixel_weights * sample.pixel_weights)


def test_a_foreground_that_is_no_category() -> None:
    with pytest.raises(StructureError, match=r"foreground is 9, .* 0\.\.4 \(sky, ground"):
        BorderWeights(9)(drawn_sample(9, 9), generator_for(0, 0, 0))


def test_listing_the_transforms_does_not_load_numba_or_scipy() -> None:
    script = (
        "import sys, torch; before = set(sys.modules); import segscape.transforms; "
        "print(sorted({'numba', 'scipy.ndimage'} & (set(sys.modules) - before)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
