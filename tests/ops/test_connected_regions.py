import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label

from segscape.ops.connected_regions import connected_regions, exactly

sides = st.integers(1, 14)
seeds = st.integers(0, 999)


@given(sides, sides, st.integers(1, 4), seeds)
def test_pieces_are_scikit_images(height, width, most, seed):
    labels = np.random.default_rng(seed).integers(0, most, (height, width)).astype(np.int32)
    assert np.array_equal(
        connected_regions(labels), np.asarray(label(labels, background=-1, connectivity=1)) - 1
    )


@given(sides, sides, st.integers(1, 6), st.floats(0, 1), seeds)
def test_any_count_comes_out_of_any_labels_connected(height, width, most, share, seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, most, (height, width)).astype(np.int32)
    pixels = generator.random((2, height, width)).astype(np.float32)
    count = max(1, round(share * labels.size))
    regions = exactly(labels, count, pixels)
    assert np.unique(regions).tolist() == list(range(count))
    assert np.asarray(label(regions, background=-1, connectivity=1)).max() == count


def test_the_largest_pieces_stay_and_others_join_the_likest():
    labels = np.array([[0, 0, 0, 1, 1, 1], [0, 0, 2, 3, 1, 1]], np.int32)
    pixels = np.array([[[0, 0, 0, 9, 9, 9], [0, 0, 8, 1, 9, 9]]], np.float32)
    # The pixel of 8 touches only the region of 0; that of 1 then touches both.
    assert exactly(labels, 2, pixels).tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1]]
    assert np.array_equal(exactly(labels, 4, pixels) >= 2, labels >= 2)


def test_a_piece_is_parted_about_in_half():
    regions = exactly(np.zeros((8, 8), np.int32), 4, np.zeros((1, 8, 8), np.float32))
    assert np.bincount(regions.ravel()).min() >= 10


@pytest.mark.parametrize("count", [0, 5])
def test_impossible_counts_are_refused(count):
    with pytest.raises(ValueError, match="of 4 pixels"):
        exactly(np.zeros((2, 2), np.int32), count, np.zeros((1, 2, 2), np.float32))
