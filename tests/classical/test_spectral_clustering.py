import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import torch
from sklearn.cluster import spectral_clustering as scikit_learns
from sklearn.datasets import make_circles, make_moons
from sklearn.metrics import adjusted_rand_score

from segscape.classical.spectral_clustering import (
    by_pivoted_qr,
    cluster_graph,
    discretized,
    ncut_value,
    spectral_clustering,
)
from segscape.structures import MethodError

ASSIGNMENTS = ("k-means", "discretization", "cluster-qr")
LAPLACIANS = ("random-walk", "symmetric", "unnormalized")


def planted(groups: int, size: int, within: float, across: float) -> np.ndarray:
    """Equal groups with one weight within and another across: their NCut is known."""
    member = np.repeat(np.arange(groups), size)
    return np.where(member[:, None] == member, within, across)


def random_graph(nodes: int, seed: int = 0) -> np.ndarray:
    weights = np.random.default_rng(seed).random((nodes, nodes))
    return np.triu(weights, 1) + np.triu(weights, 1).T


@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_planted_groups_are_found(laplacian, assignment):
    affinity = planted(4, 6, 1.0, 0.05)
    found = cluster_graph(affinity, clusters=4, laplacian=laplacian, assignment=assignment)
    assert adjusted_rand_score(np.repeat(np.arange(4), 6), found.labels) == 1
    # cut = 6 * 18 * 0.05, volume = cut + 36 for each of the four.
    assert ncut_value(affinity, found.labels.numpy()) == pytest.approx(4 * 5.4 / 41.4)
    assert float(found.residuals.max()) < 1e-10


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
@pytest.mark.parametrize("graph", ["nearest", "dense"])
@pytest.mark.parametrize("laplacian", ["random-walk", "symmetric"])
@pytest.mark.parametrize("shape", ["moons", "rings"])
def test_moons_and_rings_which_k_means_cannot_tell(shape, laplacian, graph, assignment):
    points, truth = (
        make_moons(200, noise=0.03, random_state=0)
        if shape == "moons"
        else make_circles(200, factor=0.4, noise=0.03, random_state=0)
    )
    found = spectral_clustering(
        torch.from_numpy(points),
        clusters=2,
        graph=graph,
        bandwidth=0.1,
        laplacian=laplacian,
        assignment=assignment,
    )
    assert adjusted_rand_score(truth, found.labels) == 1


def test_the_two_normalised_laplacians_have_one_spectrum():
    affinity = random_graph(30)
    walk = cluster_graph(affinity, clusters=5, laplacian="random-walk")
    symmetric = cluster_graph(affinity, clusters=5, laplacian="symmetric")
    assert torch.allclose(walk.values, symmetric.values, atol=1e-12)
    degrees = affinity.sum(1)
    l_rw = np.eye(30) - affinity / degrees[:, None]
    values = np.sort(np.linalg.eigvals(l_rw).real)[:5]
    np.testing.assert_allclose(walk.values, values, atol=1e-10)
    # u = D^-1/2 z: an eigenvector of L_rw, and z one of L_sym.
    u, z = walk.vectors.numpy(), symmetric.vectors.numpy()
    np.testing.assert_allclose(l_rw @ u, u * values, atol=1e-10)
    np.testing.assert_allclose(np.sqrt(degrees)[:, None] * u, z, atol=1e-10)


@pytest.mark.parametrize("laplacian", LAPLACIANS)
def test_sparse_graphs_are_solved_as_dense_ones(laplacian, monkeypatch):
    points = np.random.default_rng(0).random((120, 2))
    weights = np.exp(-((points[:, None] - points) ** 2).sum(-1) / 0.005)
    weights[weights < 1e-3] = 0
    dense = cluster_graph(weights, clusters=4, laplacian=laplacian)
    monkeypatch.setattr("segscape.classical.spectral_clustering._DENSE_NODES", 10)
    sparse = cluster_graph(scipy.sparse.csr_array(weights), clusters=4, laplacian=laplacian)
    assert torch.allclose(dense.values, sparse.values, atol=1e-8)
    assert float(sparse.residuals.max()) < 1e-8
    assert adjusted_rand_score(dense.labels, sparse.labels) == 1


@pytest.mark.parametrize("assign_labels", ["kmeans", "discretize", "cluster_qr"])
def test_ncut_is_no_higher_than_scikit_learns(assign_labels):
    points = np.asarray(make_moons(150, noise=0.1, random_state=1)[0])
    affinity = np.exp(-((points[:, None] - points) ** 2).sum(-1) / 0.1)
    theirs = scikit_learns(affinity, n_clusters=4, assign_labels=assign_labels, random_state=0)
    ours = min(
        ncut_value(affinity, cluster_graph(affinity, clusters=4, assignment=a).labels.numpy())
        for a in ASSIGNMENTS
    )
    assert ours <= ncut_value(affinity, np.asarray(theirs)) + 1e-9


def test_two_points_far_from_a_crowd():
    points = torch.cat(
        [
            torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) * 0.1,
            torch.tensor([[30.0, 0.0], [30.1, 0.0]]),
        ]
    ).double()
    found = spectral_clustering(points, clusters=2, neighbors=3)
    assert found.labels[50] == found.labels[51]
    assert len(set(found.labels[:50].tolist())) == 1


def test_assignments_of_indicators_are_exact():
    truth = np.array([0, 1, 2, 2, 1, 0, 0])
    rotation = scipy.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    rows = np.eye(3)[truth] @ rotation
    assert adjusted_rand_score(truth, discretized(rows)) == 1
    assert adjusted_rand_score(truth, by_pivoted_qr(rows)) == 1


def test_one_cluster_and_one_point():
    assert spectral_clustering(torch.rand(5, 2), clusters=1).labels.tolist() == [0] * 5
    assert spectral_clustering(torch.rand(1, 2), clusters=1).labels.tolist() == [0]


@pytest.mark.parametrize(
    ("points", "options", "said"),
    [
        ([[0.0], [float("nan")]], {}, "nan or infinite"),
        ([[0.0], [0.0]], {"clusters": 2}, "1 distinct points"),
        ([[0.0], [1.0]], {"neighbors": 0}, "neighbors=0"),
        ([[0.0], [1.0]], {"bandwidth": 0.0}, "bandwidth=0.0"),
        ([[0.0], [1e9]], {"bandwidth": 1.0, "graph": "dense"}, "no edge"),
        ([[0.0], [1.0]], {"seed": -1}, "seed=-1"),
    ],
)
def test_bad_points_and_options_are_refused(points, options, said):
    with pytest.raises(MethodError, match=said):
        spectral_clustering(torch.tensor(points), **options)


@pytest.mark.parametrize(
    ("affinity", "said"),
    [
        ([[0.0, -1.0], [-1.0, 0.0]], "negative"),
        ([[0.0, 1.0], [0.5, 0.0]], "not symmetric"),
        ([[1.0, 0.0], [0.0, 0.0]], "no edge"),
    ],
)
def test_bad_graphs_are_refused(affinity, said):
    with pytest.raises(MethodError, match=said):
        cluster_graph(np.array(affinity), clusters=2)


def test_a_dense_graph_beyond_memory_is_refused():
    with pytest.raises(MethodError, match="GB are free"):
        spectral_clustering(torch.rand(200_000, 1), graph="dense")
