import numpy as np
import pytest

from segscape.ops.grid_gaussian import filter_rows, gaussian_taps, sums_of_taps


@pytest.mark.parametrize("bandwidth", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("size", [(1, 9), (7, 1), (11, 14)])
def test_filters_as_brute_force_does(bandwidth, size):
    height, width = size
    values = np.random.default_rng(0).random((height * width, 8)).astype(np.float32)
    place = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1)
    place = place.reshape(-1, 2)
    apart = ((place[:, None] - place) ** 2).sum(-1)
    expected = np.exp(-apart / (2 * bandwidth**2)) @ values
    taps = gaussian_taps(bandwidth)
    rows, columns = np.ones(height, np.float32), np.ones(width, np.float32)
    ones = rows, columns, rows, columns
    found = np.zeros_like(values)
    filter_rows(values.reshape(height, -1), taps, *ones, found[: 2 * width], 0)
    filter_rows(values.reshape(height, -1), taps, *ones, found[2 * width :], 2)
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    sums = np.exp(-apart / (2 * bandwidth**2)).sum(1).reshape(size)
    ours = np.outer(sums_of_taps(taps, height), sums_of_taps(taps, width))
    np.testing.assert_allclose(ours, sums, rtol=2e-3)
