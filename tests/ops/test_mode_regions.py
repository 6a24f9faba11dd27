import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from segscape.ops.mode_regions import join_modes, join_points, merge_regions

EIGHT = np.ones((3, 3), int)


def brute_join(modes, radius):
    """All pairs of neighbours at once."""
    _, height, width = modes.shape
    flat = modes.reshape(len(modes), -1).T
    near = (cdist(flat[:, :2], flat[:, :2]) < radius) & (cdist(flat[:, 2:], flat[:, 2:]) < 1)
    rows, columns = np.divmod(np.arange(height * width), width)
    near &= np.abs(rows[:, None] - rows) <= 1
    near &= np.abs(columns[:, None] - columns) <= 1
    return connected_components(near, directed=False)[1].reshape(height, width)


@pytest.mark.parametrize("shape", [(9, 11), (1, 30), (30, 1), (1, 1)])
def test_joins_are_those_of_brute_force(shape):
    random = np.random.default_rng(0)
    modes = random.normal(0, 0.6, (4, *shape)).astype(np.float32)
    modes[:2] += np.mgrid[: shape[0], : shape[1]]
    found = join_modes(modes, radius_px=1.7)
    assert np.array_equal(found, brute_join(modes, 1.7))


def test_points_are_joined_as_by_brute_force():
    modes = np.random.default_rng(0).uniform(0, 9, (150, 2)).astype(np.float32)
    near = cdist(modes, modes) < 1
    assert np.array_equal(join_points(modes), connected_components(near, directed=False)[1])


@given(
    arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)),
    st.integers(1, 30),
    st.integers(0, 99),
)
def test_no_region_stays_too_small_and_none_is_split(ids, smallest, seed):
    parts = np.zeros(ids.shape, np.int32)
    for value in range(4):
        found, _ = label(ids == value, EIGHT)
        parts += np.where(found > 0, found + parts.max(), 0)
    regions = np.unique(parts, return_inverse=True)[1].astype(np.int32).reshape(ids.shape)
    colors = np.random.default_rng(seed).uniform(0, 3, (3, *ids.shape)).astype(np.float32)
    merged = merge_regions(regions, colors, smallest_px=smallest)
    sizes = np.bincount(merged.ravel())
    assert sizes.min() >= smallest or len(sizes) == 1
    assert len(set(zip(regions.ravel(), merged.ravel(), strict=True))) == regions.max() + 1
    assert all(label(merged == one, EIGHT)[1] == 1 for one in range(len(sizes)))


def test_a_small_region_goes_to_the_neighbor_of_the_nearest_color():
    regions = np.array([[0, 0, 0, 1, 2, 2, 2]], np.int32)
    colors = np.array([[[0, 0, 0, 4, 9, 9, 9]]], np.float32)
    assert merge_regions(regions, colors, smallest_px=2).tolist() == [[0, 0, 0, 0, 1, 1, 1]]
    assert merge_regions(regions, 9 - colors**2, smallest_px=2).tolist() == [[0, 0, 0, 0, 1, 1, 1]]
    colors[0, 0, 3] = 5
    assert merge_regions(regions, colors, smallest_px=2).tolist() == [[0, 0, 0, 1, 1, 1, 1]]


def test_the_smallest_find_their_place_first():
    # The single pixel joins the pair of its colour, which is then large enough to stay.
    regions = np.array([[0, 0, 0, 0, 1, 1, 2]], np.int32)
    colors = np.array([[[0, 0, 0, 0, 3, 3, 4]]], np.float32)
    assert merge_regions(regions, colors, smallest_px=3).tolist() == [[0, 0, 0, 0, 1, 1, 1]]


def test_large_regions_of_other_colors_stay():
    regions = np.array([[0, 0, 1, 1]], np.int32)
    colors = np.array([[[0, 0, 1, 1]]], np.float32)
    assert np.array_equal(merge_regions(regions, colors, smallest_px=2), regions)


def test_alike_neighbors_are_joined_with_their_new_means_until_none_are_alike():
    regions = np.array([[0, 0, 1, 1, 2, 3]], np.int32)
    # 0 and 1 are joined and have a mean of 0.4, which is near to 2 no longer.
    colors = np.array([[[0, 0, 0.8, 0.8, 1.9, 9]]], np.float32)
    assert merge_regions(regions, colors, smallest_px=1).tolist() == [[0, 0, 0, 0, 1, 2]]
    # All at once: 1 is near to both.
    colors[0, 0, 4] = 1.7
    assert merge_regions(regions, colors, smallest_px=1).tolist() == [[0, 0, 0, 0, 0, 1]]
    # Apart by 1.1, and by 0.9 once the middle has joined the left.
    regions = np.array([[0, 1, 1, 2]], np.int32)
    colors = np.array([[[0.5, 0, 0, 1.05]]], np.float32)
    assert merge_regions(regions, colors, smallest_px=1).tolist() == [[0, 0, 0, 0]]
