import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label

from segscape.ops.superpixel_grid import superpixel_grid


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_every_cell_is_there_and_connected(height, width, share):
    count = max(1, round(share * height * width))
    grid = superpixel_grid(height, width, count)
    assert np.unique(grid.labels).tolist() == list(range(count))
    assert np.asarray(label(grid.labels + 1, connectivity=1)).max() == count
    assert grid.centers.shape == (count, 2)
    for cell in range(0, count, max(1, count // 7)):
        y, x = np.nonzero(grid.labels == cell)
        assert np.abs(grid.centers[cell] - [y.mean(), x.mean()]).max() <= 0.5


def test_cells_are_nearly_square():
    grid = superpixel_grid(480, 640, 1000)
    assert 17 < grid.cell_height < 18.5
    assert 17 < grid.cell_width < 18.5


@pytest.mark.parametrize("count", [0, 13])
def test_impossible_counts_are_refused(count):
    with pytest.raises(ValueError, match="3 x 4 pixels"):
        superpixel_grid(3, 4, count)
