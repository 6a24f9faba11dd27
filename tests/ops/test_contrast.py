import numpy as np
import pytest

from segscape.ops.contrast import boundary_costs, mean_sharpness, neighbours
from segscape.ops.max_flow import EIGHT, FOUR


def brute_force(pixels, offsets, sharpness):
    _, height, width = pixels.shape
    squares = np.full((len(offsets), height, width), np.nan)
    for k, (down, right) in enumerate(offsets):
        for y in range(height):
            for x in range(width):
                if 0 <= y + down < height and 0 <= x + right < width:
                    difference = pixels[:, y, x] - pixels[:, y + down, x + right]
                    squares[k, y, x] = (difference.astype(np.float64) ** 2).sum()
    if sharpness is None:
        sharpness = 1 / (2 * np.nanmean(squares))
    lengths = np.hypot(*np.array(offsets).T)[:, None, None]
    return np.nan_to_num(np.exp(-sharpness * squares) / lengths), sharpness


@pytest.mark.parametrize("offsets", [FOUR, EIGHT])
@pytest.mark.parametrize("shape", [(3, 5, 6), (1, 1, 7), (2, 7, 1), (4, 2, 2)])
@pytest.mark.parametrize("sharpness", [None, 0.3])
def test_brute_force(offsets, shape, sharpness):
    pixels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected, used = brute_force(pixels, offsets, sharpness)
    assert mean_sharpness(pixels, offsets=offsets) == pytest.approx(
        brute_force(pixels, offsets, None)[1], rel=1e-6
    )
    costs = boundary_costs(pixels, offsets=offsets, sharpness=sharpness)
    np.testing.assert_allclose(costs, expected, rtol=1e-5)
    assert used >= 0


def test_constant_and_single_pixels():
    assert mean_sharpness(np.full((3, 4, 4), 7, np.float32)) == 0
    assert boundary_costs(np.full((1, 2, 2), 7, np.float32))[0].tolist() == [[1, 0], [1, 0]]
    assert not boundary_costs(np.zeros((3, 1, 1), np.float32)).any()


def test_pairs_of_neighbours_cover_each_pair_once():
    places = np.arange(12).reshape(3, 4)
    pairs = {
        (int(p), int(q))
        for start, end in neighbours((3, 4), EIGHT)
        for p, q in zip(places[start].ravel(), places[end].ravel(), strict=True)
    }
    assert len(pairs) == 3 * 3 + 2 * 4 + 2 * 2 * 3
