import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label

from segscape.ops.block_moves import coarse_to_fine
from segscape.ops.superpixel_grid import superpixel_grid


def energy(pixels, labels, nearness, border):
    """The energy of the paper, term by term."""
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    total = 0.0
    for k in np.unique(labels):
        inside = labels == k
        total += pixels[:, inside].var(1).sum() * inside.sum()
        total += nearness * (y[inside].var() + x[inside].var()) * inside.sum()
    pairs = (labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1])
    corners = (labels[1:, 1:] != labels[:-1, :-1], labels[1:, :-1] != labels[:-1, 1:])
    return total + border * sum(pair.sum() for pair in pairs + corners)


@given(
    st.integers(1, 24),
    st.integers(1, 24),
    st.integers(1, 3),
    st.floats(0, 1),
    st.floats(0, 0.1),
    st.floats(0, 0.2),
    st.integers(0, 999),
)
def test_regions_stay_connected_and_the_energy_falls(h, w, channels, share, near, border, seed):
    pixels = np.random.default_rng(seed).random((channels, h, w)).astype(np.float32)
    count = max(1, round(share**3 * h * w))
    labels = coarse_to_fine(pixels, count, nearness=near, border=border)
    assert np.unique(labels).tolist() == list(range(count))
    assert np.asarray(label(labels + 1, connectivity=1)).max() == count
    if count > h * w / 16:  # no coarser level, so that it began at this grid
        start = superpixel_grid(h, w, count).labels
        before = energy(pixels.astype(float), start, near, border)
        assert energy(pixels.astype(float), labels, near, border) <= before + 1e-6


def test_borders_are_found():
    pixels = np.zeros((1, 40, 40), np.float32)
    pixels[:, 7:33, 9:30] = 50
    labels = coarse_to_fine(pixels, 16, nearness=1.0, border=1.0)
    inside = np.unique(labels[7:33, 9:30])
    assert np.array_equal(np.isin(labels, inside), pixels[0] > 0)


@pytest.mark.parametrize("count", [0, 13])
def test_impossible_counts_are_refused(count):
    with pytest.raises(ValueError, match="3 x 4 pixels"):
        coarse_to_fine(np.zeros((1, 3, 4), np.float32), count, nearness=1.0, border=1.0)
