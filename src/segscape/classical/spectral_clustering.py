"""Spectral clustering: groups as what a random walk on a graph of the points seldom leaves.

Shi and Malik 2000, "Normalized cuts and image segmentation" (IEEE TPAMI 22(8),
doi:10.1109/34.868688); Ng, Jordan and Weiss 2001, "On spectral clustering: analysis and an
algorithm" (NIPS 14); Yu and Shi 2003, "Multiclass spectral clustering" (ICCV,
doi:10.1109/ICCV.2003.1238361); Damle, Minden and Ying 2019, "Simple, direct and efficient multi-way
spectral clustering" (Information and Inference 8(1), doi:10.1093/imaiai/iay008). The names are von
Luxburg's 2007, "A tutorial on spectral clustering" (arXiv:0711.0189), section 3; lecture slides
often swap the two normalised ones:

    L     = D - A                    "unnormalized"
    L_rw  = D^-1 L = I - D^-1 A      "random-walk", Shi and Malik: rows of u = D^-1/2 z
    L_sym = I - D^-1/2 A D^-1/2      "symmetric", Ng, Jordan and Weiss: rows of z, set to length 1

L_rw and L_sym have the same eigenvalues. Both are solved by the symmetric one.

Differences from the papers: k-means starts by k-means++, not from orthogonal rows; the
discretisation starts from rows chosen as far from each other as can be, beginning with a random
one. scikit-learn's `spectral_clustering` knows the random walk only, without residuals.
Complexity: O(n^3) dense below 2,000 points, else a sparse factorisation and Lanczos' iteration.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
import torch
from jaxtyping import Float, Float64, Int64, Integer
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import KMeans
from sklearn.neighbors import kneighbors_graph
from threadpoolctl import threadpool_limits
from torch import Tensor

from segscape.classical.pixels import refuse_beyond_memory
from segscape.classical.refusals import refuse_other, refuse_seed
from segscape.structures import MethodError

Laplacian = Literal["random-walk", "symmetric", "unnormalized"]
Assignment = Literal["k-means", "discretization", "cluster-qr"]
PointGraph = Literal["dense", "nearest"]
Matrix = Float64[np.ndarray, "node node"] | scipy.sparse.csr_array

_DENSE_NODES = 2000
_KMEANS_POINTS = 20_000


@dataclass(frozen=True)
class SpectralClusters:
    """Groups of points and what they were read from.

    Args:
        labels: of each point, 0..clusters-1.
        values: the smallest eigenvalues of the Laplacian, ascending.
        vectors: its eigenvectors in columns, before any row is set to length 1.
        residuals: |L v - value v| of each, with |v| = 1; of "random-walk" for L_sym and z.
    """

    labels: Int64[Tensor, "point"]
    values: Float64[Tensor, "vector"]
    vectors: Float64[Tensor, "point vector"]
    residuals: Float64[Tensor, "vector"]


def spectral_clustering(
    points: Float[Tensor, "point feature"],
    *,
    clusters: int = 2,
    graph: PointGraph = "nearest",
    neighbors: int = 10,
    bandwidth: float | None = None,
    laplacian: Laplacian = "random-walk",
    assignment: Assignment = "k-means",
    seed: int = 0,
) -> SpectralClusters:
    """Cluster points by a graph of their nearness, exp(-distance^2 / (2 bandwidth^2)).

    Args:
        points: coordinates or features, one point in a row.
        clusters: how many, 1 up to the number of distinct points.
        graph: "dense" joins every two points; "nearest" each to its nearest ones, both ways.
        neighbors: of "nearest", 1 or more; more than there are points means all.
        bandwidth: in units of the points, above 0; none for the median distance between joined
            points.
        laplacian: "random-walk", "symmetric" or "unnormalized", see above.
        assignment: "k-means", "discretization" (Yu and Shi) or "cluster-qr" (Damle et al.).
        seed: of the assignment, 0 or more.

    Raises:
        MethodError: for points that are not finite, or fewer distinct ones than clusters; for
            options out of range; for a dense graph beyond this machine's memory.
    """
    refuse_other("spectral_clustering", "graph", graph, PointGraph)
    if points.ndim != 2 or not bool(torch.isfinite(points).all()):
        raise MethodError(
            "spectral_clustering got points that are no rows of coordinates, or have values that "
            "are nan or infinite: drop these first"
        )
    data = points.detach().cpu().double().numpy()
    distinct = len(np.unique(data, axis=0))
    if not 1 <= clusters <= distinct:
        raise MethodError(
            f"spectral_clustering got clusters={clusters} for {distinct} distinct points: "
            f"expected 1 to {distinct}"
        )
    if neighbors < 1 or (bandwidth is not None and not bandwidth > 0):
        raise MethodError(
            f"spectral_clustering got neighbors={neighbors}, bandwidth={bandwidth}: "
            "expected 1 or more, and above 0"
        )
    affinity = (
        _dense_graph(data, bandwidth)
        if graph == "dense"
        else _nearest_graph(data, min(neighbors, len(data) - 1), bandwidth)
    )
    return cluster_graph(
        affinity, clusters=clusters, laplacian=laplacian, assignment=assignment, seed=seed
    )


def cluster_graph(
    affinity: Matrix,
    *,
    clusters: int,
    laplacian: Laplacian = "random-walk",
    assignment: Assignment = "k-means",
    seed: int = 0,
) -> SpectralClusters:
    """Cluster the nodes of a graph.

    Args:
        affinity: A, symmetric, 0 or more, every node with a positive degree; dense or sparse.
        clusters: how many, 1 up to the number of nodes.
        laplacian: as in `spectral_clustering`.
        assignment: as in `spectral_clustering`.
        seed: of the assignment, 0 or more.

    Raises:
        MethodError: for weights that are negative, not finite or not symmetric, a node without any,
            or a number of clusters out of range.
    """
    refuse_other("cluster_graph", "laplacian", laplacian, Laplacian)
    refuse_other("cluster_graph", "assignment", assignment, Assignment)
    refuse_seed("cluster_graph", seed)
    degrees = _checked_degrees(affinity)
    if not 1 <= clusters <= len(degrees):
        raise MethodError(
            f"cluster_graph got clusters={clusters} for {len(degrees)} nodes: "
            f"expected 1 to {len(degrees)}"
        )
    scale = np.ones_like(degrees) if laplacian == "unnormalized" else 1 / np.sqrt(degrees)
    values, vectors, residuals = _smallest(affinity, degrees, scale, clusters)
    if laplacian == "random-walk":
        vectors = vectors * scale[:, None]  # u = D^-1/2 z
    rows = unit_rows(vectors) if laplacian == "symmetric" else vectors
    labels = assigned(rows, assignment, clusters, seed)
    return SpectralClusters(*map(torch.from_numpy, (labels, values, vectors, residuals)))


def assigned(
    rows: Float64[np.ndarray, "node vector"], assignment: Assignment, clusters: int, seed: int
) -> Int64[np.ndarray, "node"]:
    """Turn rows of eigenvectors into groups, by the method of that name.

    Args:
        rows: an embedding of the nodes.
        assignment: "k-means", "discretization" or "cluster-qr"; the latter two take as many groups
            as there are vectors.
        clusters: how many groups.
        seed: 0 or more.
    """
    if assignment == "discretization":
        return discretized(rows, seed=seed)
    if assignment == "cluster-qr":
        return by_pivoted_qr(rows)
    chosen = rows
    if len(rows) > _KMEANS_POINTS:
        chosen = rows[np.random.default_rng(seed).choice(len(rows), _KMEANS_POINTS, replace=False)]
    with threadpool_limits(1):
        found = KMeans(clusters, random_state=seed).set_params(n_init=4).fit(chosen)
        return np.asarray(found.predict(rows), np.int64)


def discretized(
    rows: Float64[np.ndarray, "node vector"], *, seed: int = 0, most_rounds: int = 100
) -> Int64[np.ndarray, "node"]:
    """Turn the rows until they are as near as can be to 0-1 indicators (Yu and Shi 2003).

    Args:
        rows: as many eigenvectors as groups.
        seed: of the row it begins with, 0 or more.
        most_rounds: 1 or more.

    >>> rows = np.array([[1.0, 1.0], [1.0, 1.1], [1.0, -1.0], [1.0, -0.9]])
    >>> discretized(rows).tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
    True
    """
    unit = unit_rows(rows)
    count = unit.shape[1]
    # Step 4: R's columns are rows of the embedding, each as orthogonal to those before as can be.
    turn = np.zeros((count, count))
    turn[:, 0] = unit[np.random.default_rng(seed).integers(len(unit))]
    overlap = np.zeros(len(unit))
    for k in range(1, count):
        overlap += np.abs(unit @ turn[:, k - 1])
        turn[:, k] = unit[overlap.argmin()]
    before = -np.inf
    labels = np.zeros(len(unit), np.int64)
    for _ in range(most_rounds):
        labels = (unit @ turn).argmax(1)  # step 6
        sums = np.zeros((count, count))
        np.add.at(sums, labels, unit)
        left, strengths, right = np.linalg.svd(sums)  # step 7: X*' X~
        if strengths.sum() - before < 1e-10 * len(unit):
            break
        before = strengths.sum()
        turn = right.T @ left.T
    return labels


def by_pivoted_qr(rows: Float64[np.ndarray, "node vector"]) -> Int64[np.ndarray, "node"]:
    """Choose as many nodes as vectors by pivots, and give each node to the nearest of them.

    Deterministic, without a start (Damle, Minden and Ying 2019, algorithm 1).

    >>> by_pivoted_qr(np.array([[1.0, 1.0], [1.0, 1.1], [1.0, -1.0], [1.0, -0.9]])).tolist()
    [0, 0, 1, 1]
    """
    _, _, pivots = scipy.linalg.qr(rows.T, mode="economic", pivoting=True)
    left, _, right = np.linalg.svd(rows[pivots[: rows.shape[1]]].T)
    return np.abs(rows @ (left @ right)).argmax(1)


def unit_rows(rows: Float64[np.ndarray, "node vector"]) -> Float64[np.ndarray, "node vector"]:
    """Divide each row by its length, but leave rows of zeros."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def ncut_value(affinity: Matrix, labels: Integer[np.ndarray, "node"]) -> float:
    """Sum cut(G, not G) / volume(G) over the groups G (Shi and Malik, eq. 2; k-way, eq. 15).

    Args:
        affinity: A, dense or sparse, with what a node has with itself on the diagonal.
        labels: the group of each node, any whole numbers.

    >>> chain = np.array([[0.0, 2.0, 0.0], [2.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    >>> round(ncut_value(chain, np.array([0, 0, 1])), 3)
    1.2
    """
    names, group = np.unique(labels, return_inverse=True)
    one = scipy.sparse.csr_array(
        (np.ones(len(group)), (np.arange(len(group)), group)), shape=(len(group), len(names))
    )
    between = one.T @ (affinity @ one)
    between = between.toarray() if scipy.sparse.issparse(between) else np.asarray(between)
    volumes = between.sum(1)
    return float((1 - np.diag(between)[volumes > 0] / volumes[volumes > 0]).sum())


def _dense_graph(
    data: Float64[np.ndarray, "point feature"], bandwidth: float | None
) -> Float64[np.ndarray, "point point"]:
    refuse_beyond_memory(
        32.0 * len(data) ** 2, "spectral_clustering", 'graph="nearest" needs a few MB'
    )
    square = pdist(data, "sqeuclidean")
    width = bandwidth or _median(np.sqrt(square))
    # A_ii = 0 (Ng et al., step 1), so that a point far from all others is not a group for that.
    return squareform(np.exp(-square / (2 * width**2)))


def _nearest_graph(
    data: Float64[np.ndarray, "point feature"], neighbors: int, bandwidth: float | None
) -> scipy.sparse.csr_array:
    if neighbors == 0:
        return scipy.sparse.csr_array(np.ones((1, 1)))
    distances = scipy.sparse.csr_array(kneighbors_graph(data, neighbors, mode="distance"))
    width = bandwidth or _median(distances.data)
    near = distances.copy()
    near.data = np.exp(-(distances.data**2) / (2 * width**2))
    return scipy.sparse.csr_array(near.maximum(near.T))


def _median(distances: Float64[np.ndarray, "pair"]) -> float:
    positive = distances[distances > 0]
    return float(np.median(positive)) if len(positive) else 1.0


def _checked_degrees(affinity: Matrix) -> Float64[np.ndarray, "node"]:
    """The sums of the rows.

    Raises:
        MethodError: as `cluster_graph`.
    """
    values = affinity.data if scipy.sparse.issparse(affinity) else affinity
    values = np.asarray(values)
    if len(affinity.shape) != 2 or affinity.shape[0] != affinity.shape[1]:
        raise MethodError(f"the graph is of {tuple(affinity.shape)}: expected node x node")
    if not np.isfinite(values).all() or (values < 0).any():
        raise MethodError("the graph has weights that are negative or not finite: expected 0 to 1")
    if abs(affinity - affinity.T).max() > 1e-9 * max(values.max(initial=0), 1e-300):
        raise MethodError("the graph is not symmetric: give A or the larger of A and its transpose")
    degrees = np.asarray(affinity.sum(1)).ravel()
    if (degrees <= 0).any():
        raise MethodError(
            f"{int((degrees <= 0).sum())} nodes of the graph have no edge: "
            "take a larger bandwidth or more neighbours"
        )
    return degrees


def _smallest(
    affinity: Matrix,
    degrees: Float64[np.ndarray, "node"],
    scale: Float64[np.ndarray, "node"],
    count: int,
) -> tuple[
    Float64[np.ndarray, "vector"],
    Float64[np.ndarray, "node vector"],
    Float64[np.ndarray, "vector"],
]:
    """Smallest eigenvalues of scale (D - A) scale, their eigenvectors and residuals."""
    nodes = len(degrees)
    if not scipy.sparse.issparse(affinity) or nodes <= max(_DENSE_NODES, 2 * count + 1):
        dense = affinity.toarray() if scipy.sparse.issparse(affinity) else affinity
        matrix = scale[:, None] * (np.diag(degrees) - dense) * scale
        values, vectors = scipy.linalg.eigh(matrix, subset_by_index=[0, count - 1])
    else:
        by = scipy.sparse.diags_array(scale)
        matrix = scipy.sparse.csc_array(by @ (scipy.sparse.diags_array(degrees) - affinity) @ by)
        shift = -1e-3 * float(np.mean(degrees * scale**2))
        start = np.random.default_rng(0).random(nodes) + 0.5
        values, vectors = scipy.sparse.linalg.eigsh(matrix, count, sigma=shift, v0=start)
        order = values.argsort()
        values, vectors = values[order], vectors[:, order]
    peaks = np.take_along_axis(vectors, np.abs(vectors).argmax(0)[None], 0)
    vectors = vectors * np.where(peaks < 0, -1, 1)
    residuals = np.linalg.norm(matrix @ vectors - values * vectors, axis=0)
    return values, vectors, residuals
