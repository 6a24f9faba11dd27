import numpy as np
import pytest
import torch

from segscape.ops.permutohedral import PermutohedralLattice
from segscape.ops.permutohedral_tensors import TensorLattice
from segscape.ops.workers import Workers


def points(features, count=400, spread=2.0, seed=0):
    return spread * torch.randn(features, count, generator=torch.Generator().manual_seed(seed))


def gaussian_sums(features, values):
    """Brute force over all pairs."""
    apart = torch.cdist(features.T.double(), features.T.double())
    return torch.exp(-0.5 * apart**2) @ values.double()


@pytest.mark.parametrize("features", [1, 2, 5, 9])
def test_both_lattices_give_the_same(features):
    where, values = points(features), torch.rand(400, 3)
    ours, in_torch = PermutohedralLattice.of(where), TensorLattice.of(where)
    assert ours.corners == in_torch.neighbors.shape[2]
    assert np.array_equal(ours.shares, in_torch.shares.numpy())
    assert torch.allclose(ours.filter(values), in_torch.filter(values), rtol=1e-5, atol=1e-6)


def test_the_number_of_threads_changes_nothing():
    where, values = points(5, 3000), torch.rand(3000, 8).numpy()
    found = []
    for threads in (1, 3):
        with Workers(threads) as workers:
            lattice = PermutohedralLattice.of(where, workers)
            rows = lattice.rows_for(8)
            lattice.splat(values, rows, workers)
            lattice.blur(rows, workers)
        found.append(rows)
    assert np.array_equal(*found)


@pytest.mark.parametrize(("features", "off"), [(1, 1e-3), (2, 2e-3), (3, 4e-3)])
def test_means_of_neighbors_are_about_those_of_the_gaussian(features, off):
    where, values, ones = (
        points(features, 2000, spread=1.5),
        torch.rand(2000, 2),
        torch.ones(2000, 1),
    )
    lattice = PermutohedralLattice.of(where)
    found = lattice.filter(values) / lattice.filter(ones)
    expected = gaussian_sums(where, values) / gaussian_sums(where, ones)
    assert float((found - expected).abs().mean()) < off


def test_shares_sum_to_one_and_are_not_negative():
    lattice = PermutohedralLattice.of(points(6, spread=30.0))
    assert lattice.shares.min() > -1e-4
    np.testing.assert_allclose(lattice.shares.sum(1), 1, atol=1e-4)


def test_self_weights_are_what_an_impulse_leaves_at_its_point():
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    where = torch.stack([rows, columns]).flatten(1) / 3
    lattice = PermutohedralLattice.of(where)
    response = lattice.filter(torch.eye(400)).diagonal().numpy()
    inner = np.zeros((20, 20), bool)
    inner[8:12, 8:12] = True  # at the border a corner that a way back leads over may be missing
    np.testing.assert_allclose(
        lattice.self_weights()[inner.ravel()], response[inner.ravel()], rtol=1e-4
    )
    np.testing.assert_allclose(TensorLattice.of(where).self_weights(), lattice.self_weights())


@pytest.mark.parametrize("where", [torch.zeros(3, 50), torch.zeros(1, 1), points(200, 20)])
def test_equal_points_one_point_and_many_features(where):
    filtered = PermutohedralLattice.of(where).filter(torch.ones(where.shape[1], 1))
    assert bool((filtered > 0).all())
    assert torch.allclose(filtered, TensorLattice.of(where).filter(torch.ones_like(filtered)))


@pytest.mark.parametrize(
    "where", [torch.zeros(0, 5), torch.zeros(5, 0), torch.full((1, 1), torch.nan)]
)
def test_refuses_what_has_no_place(where):
    with pytest.raises(ValueError, match="a lattice got features"):
        PermutohedralLattice.of(where)
