"""The kernels against plain numpy in float64, which looks at all pixels at every step."""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pytest
from scipy.sparse.csgraph import shortest_path
from scipy.spatial.distance import cdist
from sklearn.cluster import MeanShift

from segscape.ops.mean_shift import pixel_modes, point_modes

STOP, MOST = 1e-3, 100


@dataclass
class Paths:
    """Every path's points, where it ended, and how near a call any of its steps was."""

    points: list[np.ndarray]
    ends: np.ndarray
    margins: np.ndarray


def brute_force(coordinates, parts):
    """Uniform kernel; `parts` are the columns that have a radius of 1 together."""
    here = coordinates.astype(np.float64)
    data = here.copy()
    points = [here.copy()]
    moving = np.ones(len(here), bool)
    margins = np.full(len(here), np.inf)
    for step in range(MOST):
        near = np.ones((moving.sum(), len(data)), bool)
        for part in parts:
            distance = cdist(here[moving][:, part], data[:, part], "sqeuclidean")
            near &= distance <= 1
            # Places start on whole pixels, whose distances are exact.
            if step > 0 or part != parts[0]:
                close = np.abs(distance - 1).min(1)
                margins[moving] = np.minimum(margins[moving], close)
        means = near @ data / near.sum(1, keepdims=True)
        lengths = ((means - here[moving]) ** 2).sum(1)
        here[moving] = means
        points.append(here.copy())
        moving[moving] = lengths > STOP**2
        if not moving.any():
            break
    return Paths(points, here, margins)


def image_paths(colors, radius):
    channels, height, width = colors.shape
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([rows, columns]).astype(np.float64) / radius
    coordinates = np.concatenate([places, colors]).reshape(channels + 2, -1).T
    return brute_force(coordinates, [[0, 1], list(range(2, channels + 2))])


def textured(channels, height, width, seed=0, spread=0.45):
    """Two halves and a ramp under noise, in units of the colour bandwidth."""
    random = np.random.default_rng(seed)
    colors = random.normal(0, spread, (channels, height, width))
    colors[:, :, width // 2 :] += 1.3
    return (colors + np.linspace(0, 2, height)[:, None]).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "radius"),
    [
        # Radii at which no mean of few pixels has another just on its rim.
        ((3, 32, 32), 4.137),
        ((3, 40, 21), 5.571),
        ((1, 32, 32), 3.071),
        ((2, 9, 40), 2.613),
        ((6, 20, 24), 3.071),
        ((3, 1, 50), 6.293),
        ((3, 50, 1), 6.293),
        ((3, 10, 12), 40.0),
        ((1, 1, 1), 1.0),
        ((3, 16, 16), 0.5),
    ],
)
def test_exact_paths_end_where_brute_force_does(shape, radius):
    colors = textured(*shape, spread=0.45 / np.sqrt(shape[0]))
    found = pixel_modes(colors, radius_px=radius, share=0.0, stop=STOP, most=MOST)
    paths = image_paths(colors, radius)
    ends = paths.ends.T.reshape(found.shape).copy()
    ends[:2] *= radius
    # A pixel that is on the rim of a window but for rounding may be in or out.
    clear = (paths.margins > 1e-5).reshape(shape[1:])
    assert clear.mean() > 0.9
    np.testing.assert_allclose(found[:, clear], ends[:, clear], atol=2e-3)


def test_shortcuts_jump_no_farther_than_allowed():
    share, radius = 0.15, 4.0
    colors = textured(3, 14, 18, spread=0.3)
    exact = pixel_modes(colors, radius_px=radius, share=0.0, stop=STOP, most=MOST).reshape(5, -1)
    found = pixel_modes(colors, radius_px=radius, share=share, stop=STOP, most=MOST).reshape(5, -1)
    taken = np.abs(found - exact).max(0) > 1e-3
    assert 0.05 < taken.mean() < 0.9
    points = image_paths(colors, radius).points
    # One path may jump to another where they pass each other within the share.
    count = exact.shape[1]
    jumps = np.zeros((count, count), bool)
    for first in points:
        for second in points:
            place = cdist(first[:, :2], second[:, :2])
            color = cdist(first[:, 2:], second[:, 2:])
            jumps |= (place <= share + 1e-3) & (color <= share + 1e-3)
    reached = np.isfinite(shortest_path(jumps, unweighted=True))
    same = np.abs(found[:, :, None] - exact[:, None, :]).max(0) < 2e-3
    assert (same & reached).any(1).all()
    assert reached.mean() < 0.9
    # How far off they end is not bounded so; on the whole it is less than the jumps.
    assert np.abs(found - exact)[2:].mean() < share / 4


def test_the_result_does_not_depend_on_threads():
    colors = textured(3, 80, 20)
    options: Any = {"radius_px": 4.0, "share": 0.2, "stop": STOP, "most": MOST}
    found = pixel_modes(colors, **options)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        alone = pixel_modes(colors, **options)
    finally:
        numba.set_num_threads(threads)
    assert np.array_equal(found, alone)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_flat_image_keeps_its_color_to_the_bit(share):
    colors = np.full((3, 12, 15), 7.3, np.float32)
    found = pixel_modes(colors, radius_px=4.0, share=share, stop=STOP, most=MOST)
    assert np.array_equal(found[2:], colors)


def test_pixels_far_from_the_first_column_are_as_exact():
    colors = textured(1, 3, 40)
    wide = np.concatenate([np.full((1, 3, 20_000), 90, np.float32), colors], axis=2)
    options: Any = {"radius_px": 3.0, "share": 0.0, "stop": STOP, "most": MOST}
    near = pixel_modes(colors, **options)[:, :, 10:]
    far = pixel_modes(wide, **options)[:, :, 20_010:]
    assert (np.abs(near[2] - far[2]) < 1e-2).mean() > 0.98


def test_more_channels_than_three_go_another_way_to_the_same_end():
    colors = textured(3, 20, 20)
    flat = np.concatenate([colors, np.ones((1, 20, 20), np.float32)])
    options: Any = {"radius_px": 4.0, "share": 0.0, "stop": STOP, "most": MOST}
    three = pixel_modes(colors, **options)
    four = pixel_modes(flat, **options)[:5]
    assert (np.abs(three - four).max(0) < 1e-3).mean() > 0.99


def test_most_ends_a_path():
    colors = textured(3, 16, 16)
    one = pixel_modes(colors, radius_px=4.0, share=0.0, stop=0.0, most=1)
    paths = image_paths(colors, 4.0)
    assert np.allclose(one[2:].reshape(3, -1).T, paths.points[1][:, 2:], atol=1e-5)


@pytest.mark.parametrize("dimensions", [1, 2, 5, 11])
def test_points_end_where_brute_force_does(dimensions):
    points = np.random.default_rng(1).normal(0, 1 / np.sqrt(dimensions), (400, dimensions))
    points[:200] += 1.2
    points = points.astype(np.float32)
    found = point_modes(points, stop=STOP, most=MOST)
    paths = brute_force(points, [list(range(dimensions))])
    clear = paths.margins > 1e-6
    assert clear.mean() > 0.8
    np.testing.assert_allclose(found[clear], paths.ends[clear], atol=2e-3)


def test_points_end_at_scikit_learns_centers():
    points = np.random.default_rng(2).normal(0, 1, (300, 3)).astype(np.float32)
    ends = point_modes(points, stop=STOP, most=300)
    centers = MeanShift(bandwidth=1).fit(points).cluster_centers_
    nearest = np.abs(centers[:, None] - ends[None]).max(2).min(1)
    assert (nearest < 1e-3).mean() > 0.98


def test_identical_points_stay():
    assert point_modes(np.ones((5, 2), np.float32), stop=STOP, most=9).tolist() == [[1, 1]] * 5
