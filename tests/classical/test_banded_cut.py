import itertools

import numpy as np
import pytest

from segscape.classical.banded_cut import (
    BandCut,
    band_marks,
    coarse_factor,
    shrunk_marks,
    shrunk_pixels,
    window_of,
)
from segscape.ops.contrast import neighbours
from segscape.ops.max_flow import EIGHT, FOUR
from segscape.structures import MethodError


def energy(label, difference, boundary, offsets):
    value = (difference * (label == 0)).sum(dtype=np.float64)
    for cost, (start, end) in zip(boundary, neighbours(label.shape, offsets), strict=True):
        value += (cost[start] * (label[start] != label[end])).sum(dtype=np.float64)
    return value


@pytest.mark.parametrize(("offsets", "shape"), [(EIGHT, (3, 4)), (FOUR, (4, 3)), (EIGHT, (1, 9))])
@pytest.mark.parametrize("weight", [0.0, 0.5, 100.0])
def test_the_least_energy_of_all_labellings_that_keep_the_marks(offsets, shape, weight):
    rng = np.random.default_rng(0)
    marks = rng.choice([0, 1, 255, 255, 255], shape).astype(np.uint8)
    boundary = (weight * rng.random((len(offsets), *shape))).astype(np.float32)
    cut = BandCut(marks, boundary, offsets=offsets)
    open_ = np.argwhere(marks == 255)
    # The second and third start from the flow of the one before.
    for size in (1.0, 30.0, 0.1):
        difference = (size * rng.normal(size=shape)).astype(np.float32)
        label = cut.labels(difference)
        assert (label[marks != 255] == marks[marks != 255]).all()
        assert set(np.unique(label)) <= {0, 1}
        values = []
        for bits in itertools.product([0, 1], repeat=len(open_)):
            other = marks.copy()
            other[tuple(open_.T)] = bits
            values.append(energy(other, difference, boundary, offsets))
        assert energy(label, difference, boundary, offsets) <= min(values) + 1e-4 * max(1, weight)


def test_all_is_known():
    marks = np.array([[0, 1]], np.uint8)
    assert (
        BandCut(marks, np.ones((4, 1, 2), np.float32)).labels(np.zeros((1, 2), np.float32)) == marks
    ).all()


def test_blocks_are_means_also_at_the_edges():
    pixels = np.random.default_rng(0).random((2, 7, 5)).astype(np.float32)
    small = shrunk_pixels(pixels, 3)
    assert small.shape == (2, 3, 2)
    np.testing.assert_allclose(small[:, 0, 0], pixels[:, :3, :3].mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(small[:, 2, 1], pixels[:, 6:, 3:].mean(axis=(1, 2)), rtol=1e-6)


def test_one_marked_pixel_marks_its_block_and_two_kinds_mark_none():
    marks = np.full((4, 6), 255, np.uint8)
    marks[0, 0], marks[3, 3], marks[0, 5], marks[1, 4] = 1, 0, 0, 1
    assert shrunk_marks(marks, 2).tolist() == [[1, 255, 255], [255, 0, 255]]


def test_the_band_keeps_marks_and_opens_both_sides_of_the_boundary():
    coarse = np.zeros((6, 8), np.uint8)
    coarse[:, 4:] = 1
    marks = np.full((23, 31), 255, np.uint8)
    marks[0, 15], marks[22, 0] = 1, 1
    band = band_marks(marks, coarse, 4, band=2)
    assert band[0, 15] == 1
    assert band[22, 0] == 1
    assert (band[1:22, 8:24] == 255).all()
    assert (band[1:22, :8] == 0).all()
    assert (band[1:22, 24:] == 1).all()
    assert (marks == 255).sum() == 23 * 31 - 2


def test_a_window_with_its_neighbours():
    marks = np.zeros((9, 9), np.uint8)
    assert window_of(marks) == (slice(0, 0), slice(0, 0))
    marks[4, 8] = 255
    assert window_of(marks) == (slice(3, 6), slice(7, 9))


def test_factors():
    assert coarse_factor(1000, 1000, None, "x") == 1
    assert coarse_factor(10, 10, 4, "x") == 4
    assert coarse_factor(3000, 4000, 1, "x") == 1
    for wrong in (0, -1, 65):
        with pytest.raises(MethodError, match="coarse_to_fine"):
            coarse_factor(10, 10, wrong, "x")
