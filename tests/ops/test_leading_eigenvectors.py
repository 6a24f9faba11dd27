import numpy as np
import pytest
import scipy.linalg
from tests.ops.test_affinity import dense, drawn

from segscape.ops import leading_eigenvectors as module
from segscape.ops.affinity import pixel_affinity
from segscape.ops.leading_eigenvectors import leading_eigenvectors


@pytest.mark.parametrize("levels", [False, True])
def test_agrees_with_scipy_on_a_small_grid(levels, monkeypatch):
    if levels:
        monkeypatch.setattr(module, "_DENSE_NODES", 30)
    affinity = drawn(20, 20, 3.0)
    matrix = dense(affinity)
    degrees = np.diag(matrix.sum(1))
    values, vectors = scipy.linalg.eigh(degrees - matrix, degrees)
    found = leading_eigenvectors(affinity, 6, tolerance=1e-5)
    np.testing.assert_allclose(found.values, values[:6], atol=1e-5)
    overlap = np.abs(found.vectors.reshape(6, -1) @ degrees @ vectors[:, :6])
    np.testing.assert_allclose(overlap, np.eye(6), atol=1e-3)
    assert found.residuals.max() <= 1e-5


def test_vectors_are_turned_back_by_the_root_of_the_degrees():
    affinity = drawn(12, 12, 2.0)
    matrix = dense(affinity)
    degrees = matrix.sum(1)
    found = leading_eigenvectors(affinity, 3)
    u = found.vectors.reshape(3, -1).astype(np.float64)
    # u solves the generalised problem, and z = D^1/2 u the symmetric one; z itself does not.
    np.testing.assert_allclose(
        (np.diag(degrees) - matrix) @ u[1], found.values[1] * degrees * u[1], atol=1e-4
    )
    z = np.sqrt(degrees) * u[1]
    symmetric = matrix / np.sqrt(degrees) / np.sqrt(degrees)[:, None]
    np.testing.assert_allclose(symmetric @ z, (1 - found.values[1]) * z, atol=1e-4)
    assert np.abs((np.diag(degrees) - matrix) @ z - found.values[1] * degrees * z).max() > 1e-3
    np.testing.assert_allclose(u[0], u[0][0], rtol=1e-3)


def test_a_graph_in_two_parts_has_two_zeros():
    features = np.zeros((1, 30, 40), np.float32)
    features[:, :, 20:] = 100
    affinity = pixel_affinity(features, np.zeros((30, 40), np.float32), radius_px=2.0)
    found = leading_eigenvectors(affinity, 3)
    np.testing.assert_allclose(found.values[:2], 0, atol=1e-5)
    assert found.values[2] > 1e-3
    for vector in found.vectors[:2]:
        np.testing.assert_allclose(vector[:, :20], vector[0, 0], atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 900), (900, 1), (27, 35)])
def test_any_shape_is_solved_to_the_tolerance(shape):
    contour = np.random.default_rng(0).random(shape, np.float32)
    affinity = pixel_affinity(np.zeros((0, *shape), np.float32), contour, radius_px=3.0)
    found = leading_eigenvectors(affinity, 4, tolerance=1e-3)
    assert found.residuals.max() <= 1e-3
    assert (np.diff(found.values) >= -1e-6).all()


@pytest.mark.parametrize(("count", "tolerance"), [(0, 1.0), (26, 1.0), (2, 0.0)])
def test_options_out_of_range_are_refused(count, tolerance):
    with pytest.raises(ValueError, match="expected"):
        leading_eigenvectors(drawn(5, 5, 1.0), count, tolerance=tolerance)
