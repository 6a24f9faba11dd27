import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segscape.ops.random_walk import first_met


def dense(pixels: np.ndarray, marks: np.ndarray, beta: float) -> np.ndarray:
    """Equations 1, 3 and 10 with a dense matrix."""
    _, height, width = pixels.shape
    ids = np.arange(height * width).reshape(height, width)
    pairs = np.concatenate(
        [
            np.stack([a.ravel(), b.ravel()], 1)
            for a, b in ((ids[:, :-1], ids[:, 1:]), (ids[:-1], ids[1:]))
        ]
    )
    flat = pixels.reshape(len(pixels), -1).astype(np.float64)
    squares = ((flat[:, pairs[:, 0]] - flat[:, pairs[:, 1]]) ** 2).sum(0)
    weights = np.exp(-beta * squares / max(squares.max(initial=0), 1e-300)) + 1e-6
    matrix = np.zeros((ids.size, ids.size))
    np.add.at(matrix, (pairs[:, 0], pairs[:, 1]), -weights)
    np.add.at(matrix, (pairs[:, 1], pairs[:, 0]), -weights)
    matrix -= np.diag(matrix.sum(1))
    free = marks.ravel() == 255
    labels = np.arange(marks[marks != 255].max() + 1)
    chances = (marks.ravel() == labels[:, None]).astype(float)
    if free.any():
        ground = matrix[np.ix_(free, ~free)]
        chances[:, free] = np.linalg.solve(
            matrix[np.ix_(free, free)], -ground @ chances[:, ~free].T
        ).T
    return chances.reshape(-1, height, width)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 24),
    st.integers(2, 24),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0.0, 5.0, 90.0]),
    st.floats(0.0, 1.0),
    st.integers(0, 999),
)
def test_chances_are_those_of_the_dense_system(height, width, channels, labels, beta, free, seed):
    generator = np.random.default_rng(seed)
    pixels = generator.random((channels, height, width)).astype(np.float32)
    marks = generator.integers(0, labels, (height, width)).astype(np.uint8)
    marks[generator.random(marks.shape) < free] = 255
    labels = min(labels, marks.size)
    marks.ravel()[generator.permutation(marks.size)[:labels]] = np.arange(labels)
    found = first_met(pixels, marks, beta=beta, tolerance=1e-8)
    assert np.abs(found - dense(pixels, marks, beta)).max() < 2e-4
    assert found.min() >= 0
    assert np.abs(found.sum(0) - 1).max() < 1e-6


def test_the_unit_of_the_colours_does_not_matter():
    pixels = np.random.default_rng(0).random((3, 30, 40)).astype(np.float32)
    marks = np.full((30, 40), 255, np.uint8)
    marks[3, 3], marks[20, 30], marks[5, 30] = 0, 1, 2
    found = [first_met(scale * pixels, marks, beta=90.0) for scale in (1.0, 1024.0)]
    assert np.array_equal(found[0], found[1])


@pytest.mark.parametrize("contrast", [0.0, 1.0])
def test_levels_solve_what_conjugate_gradients_alone_would_not(contrast):
    generator = np.random.default_rng(1)
    pixels = contrast * (generator.random((1, 120, 130)) > 0.5).astype(np.float32)
    marks = np.full((120, 130), 255, np.uint8)
    marks[0, 0], marks[-1, -1] = 0, 1
    found = first_met(pixels, marks, beta=90.0, tolerance=1e-8)
    turned = first_met(pixels[:, ::-1, ::-1].copy(), marks, beta=90.0, tolerance=1e-8)
    assert np.abs(found[0] - turned[1, ::-1, ::-1]).max() < 1e-2
    assert ((found > 0.5) == (turned[::-1, ::-1, ::-1] > 0.5)).mean() > 0.999
