"""Normalised cuts of a graph of regions, whose nodes are superpixels or any parts of an image.

Shi and Malik 2000, "Normalized cuts and image segmentation" (IEEE TPAMI 22(8),
doi:10.1109/34.868688), section 4: the condensed graph of the parts of an image is joined two by two
so that the k-way NCut grows least ("merging", way 1), or cut in two by its second eigenvector, at
the best of the thresholds, and its parts again, that of the least NCut first ("recursive", way 2,
the global recursive cut). The other assignments are those of `spectral_clustering`.

Differences from the paper: the recursion stops at the number of regions, and tests no cut's
stability. scikit-image's `cut_normalized` cuts recursively, too, but thresholds z where the
relaxation asks for u = D^-1/2 z, and works on networkx graphs.
Complexity: O(nodes^3), dense; O(edges log edges) for "merging".
"""

import heapq
from typing import Literal

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float, Float64, Int64, Integer

from segscape.classical.spectral_clustering import assigned
from segscape.ops.affinity import StencilAffinity, pair_weights
from segscape.ops.region_merging import merge_by_ncut
from segscape.structures import MethodError, Partition

Cut = Literal["simultaneous", "recursive"]
Assignment = Literal["merging", "k-means", "discretization", "cluster-qr"]

# A dense solver takes seconds for as many nodes.
_MOST_NODES = 4000
_METHOD = "normalized_cut"


def cut_superpixels(
    superpixels: Partition,
    affinity: StencilAffinity,
    *,
    regions: int,
    cut: Cut = "simultaneous",
    assignment: Assignment = "merging",
    seed: int = 0,
) -> Partition:
    """Cut the graph of superpixels, whose weights are the sums of their pixels'.

    What is constant in superpixels has the same NCut in this graph and in that of the pixels.

    Args:
        superpixels: any, at most 4,000.
        affinity: the graph of the pixels.
        regions: how many, 1 or more; with more than there are superpixels, these come back.
        cut: "simultaneous" or "recursive".
        assignment: of "simultaneous".
        seed: of the assignment, 0 or more.

    Raises:
        MethodError: for superpixels of another size or more than 4,000, or fewer regions than 1.
    """
    ids = superpixels.regions
    if tuple(ids.shape) != affinity.own.shape:
        raise MethodError(
            f"cut_superpixels got superpixels of {tuple(ids.shape)} and a graph of "
            f"{affinity.own.shape}: make both of one image"
        )
    _check_nodes(superpixels.count)
    weights = pair_weights(affinity, ids.cpu().to(torch.int32).numpy(), superpixels.count)
    groups = _cut_graph(weights, regions, cut, assignment, seed)
    return Partition.from_ids(torch.from_numpy(groups)[ids.cpu().long()])


def cut_region_graph(
    superpixels: Partition,
    edges: Integer[np.ndarray, "edge 2"],
    weights: Float[np.ndarray, "edge"],
    *,
    regions: int,
    cut: Cut = "simultaneous",
    assignment: Assignment = "merging",
    seed: int = 0,
) -> Partition:
    """Cut a region adjacency graph.

    Args:
        superpixels: the nodes, at most 4,000.
        edges: pairs of their ids, each pair once; an edge from a node to itself adds to its volume.
        weights: how alike the two are, 0 or more.
        regions: how many, 1 or more; parts of the graph that no edge joins stay apart.
        cut: "simultaneous" or "recursive".
        assignment: of "simultaneous".
        seed: of the assignment, 0 or more.

    Raises:
        MethodError: for ids that the superpixels do not have, weights that are negative or not
            finite, more than 4,000 superpixels, or fewer regions than 1.
    """
    count = superpixels.count
    _check_nodes(count)
    if edges.shape != (len(weights), 2):
        raise MethodError(
            f"cut_region_graph got edges of {edges.shape} and {len(weights)} weights: expected a "
            "pair of ids for each weight"
        )
    if edges.size and not 0 <= edges.min() <= edges.max() < count:
        raise MethodError(
            f"cut_region_graph got edges between {edges.min()} and {edges.max()} for {count} "
            f"superpixels: expected ids 0 to {count - 1}"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise MethodError("cut_region_graph got weights that are negative or not finite")
    matrix = np.zeros((count, count))
    np.add.at(matrix, (edges[:, 0], edges[:, 1]), weights)
    matrix = matrix + np.triu(matrix, 1).T + np.tril(matrix, -1).T
    groups = _cut_graph(matrix, regions, cut, assignment, seed)
    return Partition.from_ids(torch.from_numpy(groups)[superpixels.regions.cpu().long()])


def partition_ncut(affinity: StencilAffinity, partition: Partition) -> float:
    """Sum cut / volume over the regions of a partition (Shi and Malik, eq. 2 and 15).

    >>> from segscape.ops.affinity import pixel_affinity
    >>> even = pixel_affinity(np.zeros((0, 1, 4), np.float32), np.zeros((1, 4), np.float32),
    ...     radius_px=1.0)
    >>> round(partition_ncut(even, Partition(torch.tensor([[0, 0, 1, 1]]))), 3)
    0.4
    """
    ids = partition.regions.cpu().to(torch.int32).numpy()
    between = pair_weights(affinity, ids, partition.count)
    return float((1 - np.diag(between) / between.sum(1)).sum())


def _check_nodes(count: int) -> None:
    """Refuse graphs that a dense solver cannot take.

    Raises:
        MethodError: for more than 4,000 nodes.
    """
    if count > _MOST_NODES:
        raise MethodError(
            f"{_METHOD} got {count:,} superpixels: expected at most {_MOST_NODES:,}; make them "
            "larger"
        )


def _cut_graph(
    weights: Float64[np.ndarray, "node node"],
    regions: int,
    cut: Cut,
    assignment: Assignment,
    seed: int,
) -> Int64[np.ndarray, "node"]:
    """Group the nodes of a dense graph, whose diagonal holds what nodes have within themselves.

    Raises:
        MethodError: for fewer regions than 1.
    """
    if regions < 1:
        raise MethodError(f"{_METHOD} got regions={regions}: expected 1 or more")
    nodes = len(weights)
    if regions >= nodes:
        return np.arange(nodes)
    # A node without edges has a volume, too: its NCut is 0.
    weights = weights + np.diag(np.where(weights.sum(1) > 0, 0.0, 1.0))
    if cut == "recursive":
        return _cut_in_two(weights, regions)
    if assignment != "merging":
        rows = _eigenvectors(weights, regions)
        return assigned(rows, assignment, regions, seed)
    edges = np.argwhere(np.triu(weights, 1) > 0)
    between = weights[edges[:, 0], edges[:, 1]]
    tree = merge_by_ncut(edges, between, weights.sum(1), np.diag(weights).copy())
    return tree.groups(regions)


def _eigenvectors(
    weights: Float64[np.ndarray, "node node"], count: int
) -> Float64[np.ndarray, "node vector"]:
    """The smoothest vectors u = D^-1/2 z of a dense graph, the constant one first."""
    nodes = len(weights)
    scale = 1 / np.sqrt(weights.sum(1))
    normalized = scale[:, None] * weights * scale
    _, z = scipy.linalg.eigh(normalized, subset_by_index=[nodes - count, nodes - 1])
    return scale[:, None] * z[:, ::-1]


def _cut_in_two(
    weights: Float64[np.ndarray, "node node"], regions: int
) -> Int64[np.ndarray, "node"]:
    """Cut the part whose two halves have the least NCut, until there are enough parts."""
    groups = np.zeros(len(weights), np.int64)
    queue = [(*_best_halves(weights), 0)]
    for new in range(1, regions):
        _, first, old = heapq.heappop(queue)
        nodes = np.flatnonzero(groups == old)
        groups[np.delete(nodes, first)] = new
        for name in (old, new):
            part = np.flatnonzero(groups == name)
            if len(part) > 1:
                # D is of the part alone (Shi and Malik, section 3, step 5).
                heapq.heappush(queue, (*_best_halves(weights[np.ix_(part, part)]), name))
    return groups


def _best_halves(weights: Float64[np.ndarray, "node node"]) -> tuple[float, tuple[int, ...]]:
    """The least two-way NCut over all thresholds of the second eigenvector, and the first half."""
    order = _eigenvectors(weights, 2)[:, 1].argsort(kind="stable")
    within = np.diag(weights[np.ix_(order, order)].cumsum(0).cumsum(1))[:-1]
    volume = weights.sum(1)[order].cumsum()
    cut = volume[:-1] - within
    values = cut / volume[:-1] + cut / (volume[-1] - volume[:-1])
    best = int(values.argmin())
    return float(values[best]), tuple(order[: best + 1].tolist())
