import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segscape.ops.slic_steps import (
    assign_pixels,
    largest_color_distances,
    move_to_lowest_gradient,
    update_centers,
)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(0, 999))
def test_steps_are_those_of_the_formulas(height, width, channels, seed):
    generator = np.random.default_rng(seed)
    pixels = generator.random((channels, height, width)).astype(np.float32)
    centers = generator.random((6, channels + 2)).astype(np.float32)
    centers[:, :2] *= [height, width]
    nearness = generator.random(6).astype(np.float32)
    reach_y, reach_x = generator.random(2) * 6
    labels = np.full((height, width), 5, np.int32)
    distances = np.empty((height, width), np.float32)
    assign_pixels(pixels, centers, nearness, reach_y, reach_x, labels, distances)
    y, x = np.mgrid[:height, :width]
    off_y, off_x = (grid[None] - centers[:, i, None, None] for i, grid in enumerate((y, x)))
    color = ((pixels[None] - centers[:, 2:, None, None]) ** 2).sum(1)
    expected = color + nearness[:, None, None] * (off_y**2 + off_x**2)
    expected[(abs(off_y) > reach_y) | (abs(off_x) > reach_x)] = np.inf
    seen = np.isfinite(expected.min(0))
    assert np.allclose(distances, expected.min(0), rtol=1e-4, atol=1e-5)
    chosen = np.take_along_axis(expected, labels[None].astype(int), 0)[0]
    assert np.allclose(chosen[seen], expected.min(0)[seen], rtol=1e-4, atol=1e-5)
    assert (labels[~seen] == 5).all()

    largest = np.empty(6, np.float32)
    largest_color_distances(pixels, labels, centers, largest)
    moved = centers.copy()
    update_centers(pixels, labels, moved)
    for k in range(6):
        inside = labels == k
        if inside.any():
            mean = [y[inside].mean(), x[inside].mean(), *pixels[:, inside].mean(1)]
            assert np.allclose(moved[k], mean, atol=1e-4)
            assert np.isclose(largest[k], color[k][inside].max(), atol=1e-5)
        else:
            assert np.array_equal(moved[k], centers[k])
            assert largest[k] == 0


def test_seeds_leave_edges():
    pixels = np.zeros((1, 7, 7), np.float32)
    pixels[:, :, 4:] = 1
    centers = np.array([[3.0, 3.0], [6.0, 4.0]])
    move_to_lowest_gradient(pixels, centers)
    assert centers[:, 1].tolist() == [2, 5]
