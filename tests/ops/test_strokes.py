"""Strokes as pixels: those whose centres are near the line."""

from itertools import pairwise

import numpy as np
import pytest

from segscape.ops.strokes import stroke_pixels


@pytest.mark.parametrize("width", [1.0, 3.0, 6.5])
def test_a_stroke_marks_the_pixels_near_its_line(width):
    points = [(3.0, 2.5), (14.0, 9.0), (-4.0, 30.0)]
    found = stroke_pixels(points, width=width, size=(20, 18))
    radius = max(width / 2, 0.7072)
    for y in range(20):
        for x in range(18):
            centre = np.array([x + 0.5, y + 0.5])
            nearest = (
                min(
                    np.linalg.norm(centre - (1 - t) * np.array(a) - t * np.array(b))
                    for a, b in pairwise(points)
                    for t in np.linspace(0, 1, 2001)
                )
                if (x + y) % 3 == 0
                else None
            )  # a third of the pixels, for time's sake
            if nearest is not None and abs(nearest - radius) > 0.02:
                assert found[y, x] == (nearest < radius)


def test_any_point_marks_the_pixel_that_it_lies_in():
    random = np.random.default_rng(0)
    for x, y in random.random((50, 2)) * [9, 7]:
        assert stroke_pixels([(x, y)], width=0.1, size=(7, 9))[int(y), int(x)]


def test_what_lies_outside_marks_nothing():
    assert not stroke_pixels([(-30.0, 5.0), (-9.0, 50.0)], width=4.0, size=(10, 10)).any()


@pytest.mark.parametrize(
    ("points", "width"), [([], 1.0), ([(1.0, float("nan"))], 1.0), ([(1.0, 1.0)], 0.0)]
)
def test_what_cannot_be_drawn_is_refused(points, width):
    with pytest.raises(ValueError, match="cannot be drawn"):
        stroke_pixels(points, width=width, size=(5, 5))
