"""Join the nodes of a region graph two by two, best pair first, and remember the order.

Shi and Malik 2000, "Normalized cuts and image segmentation" (doi:10.1109/34.868688), section 4: of
too many groups, those are joined whose joint has the least k-way NCut. Arbelaez et al. 2011
(doi:10.1109/TPAMI.2010.161), section 4.2: those are joined whose common boundary is the weakest on
average, which makes an ultrametric contour map.

Differences from the papers: none known. The order of the joints holds a partition for every number
of regions. Complexity: O(e log e) for e edges, where degrees stay small.
"""

import heapq
from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float64, Int64


@dataclass(frozen=True)
class MergeTree:
    """Joints of a region graph, in order.

    Args:
        kept: of each joint the node that now stands for both.
        gone: the other.
        costs: what was least at that time.
        nodes: before the first joint.
    """

    kept: Int64[np.ndarray, "joint"]
    gone: Int64[np.ndarray, "joint"]
    costs: Float64[np.ndarray, "joint"]
    nodes: int

    def groups(self, count: int) -> Int64[np.ndarray, "node"]:
        """Give each node a group 0..count-1; more groups where the graph has more parts.

        Args:
            count: of groups, 1 or more; with more than there are nodes, each is its own.
        """
        group = np.arange(self.nodes)
        for i in reversed(range(min(self.nodes - count, len(self.kept)))):
            group[self.gone[i]] = group[self.kept[i]]
        # A node that was gone before its keeper moved on is found through the later joints, which
        # the walk from the last joint back has set already.
        return np.unique(group, return_inverse=True)[1]


def merge_by_mean(
    edges: Int64[np.ndarray, "edge 2"],
    totals: Float64[np.ndarray, "edge"],
    lengths: Float64[np.ndarray, "edge"],
    nodes: int,
) -> MergeTree:
    """Join across the boundary that is the weakest on average.

    Args:
        edges: pairs of nodes, each pair once, 0..nodes-1.
        totals: of each edge the strength summed along the boundary.
        lengths: of each boundary, above 0.
        nodes: how many there are.

    >>> edges = np.array([[0, 1], [1, 2], [2, 3]])
    >>> tree = merge_by_mean(edges, np.array([2.0, 9.0, 1.0]), np.array([1.0, 3.0, 1.0]), 4)
    >>> tree.groups(2).tolist(), tree.costs.tolist()
    ([0, 0, 1, 1], [1.0, 2.0, 3.0])
    """
    unused = np.ones(nodes)
    return MergeTree(*_merged(edges, totals, lengths, unused, unused.copy(), False), nodes)


def merge_by_ncut(
    edges: Int64[np.ndarray, "edge 2"],
    weights: Float64[np.ndarray, "edge"],
    volumes: Float64[np.ndarray, "node"],
    within: Float64[np.ndarray, "node"],
) -> MergeTree:
    """Join the two that leave the least sum over the groups of cut / volume.

    Args:
        edges: pairs of nodes, each pair once.
        weights: between the two, 0 or more.
        volumes: of each node the sum of all weights at it, `within` included; above 0.
        within: weights between the pixels of a node, counted from both ends.

    >>> edges = np.array([[0, 1], [1, 2], [2, 3]])
    >>> weights = np.array([5.0, 1.0, 5.0])
    >>> tree = merge_by_ncut(edges, weights, np.array([6.0, 7.0, 7.0, 6.0]), np.ones(4))
    >>> tree.groups(2).tolist()
    [0, 0, 1, 1]
    """
    lengths = np.ones(len(weights))
    return MergeTree(
        *_merged(edges, weights, lengths, volumes.copy(), within.copy(), True), len(volumes)
    )


@numba.njit(cache=True, nogil=True)
@no_type_check
def _cost(
    total: float,
    length: float,
    volumes: tuple[float, float],
    within: tuple[float, float],
    ncut: bool,
) -> float:
    """The mean strength, or the growth, plus 1, of the sum of (volume - within) / volume."""
    if not ncut:
        return total / length
    apart = within[0] / volumes[0] + within[1] / volumes[1]
    return apart - (within[0] + within[1] + 2 * total) / (volumes[0] + volumes[1])


@numba.njit(cache=True, nogil=True)
@no_type_check
def _merged(
    edges: Int64[np.ndarray, "edge 2"],
    totals: Float64[np.ndarray, "edge"],
    lengths: Float64[np.ndarray, "edge"],
    volumes: Float64[np.ndarray, "node"],
    within: Float64[np.ndarray, "node"],
    ncut: bool,
) -> tuple[Int64[np.ndarray, "joint"], Int64[np.ndarray, "joint"], Float64[np.ndarray, "joint"]]:
    nodes, count = volumes.size, len(edges)
    totals, lengths, ends = totals.copy(), lengths.copy(), edges.copy()
    # Each node's edges are a chain of ends: end 2 e is at ends[e, 0], end 2 e + 1 at the other.
    first = np.full(nodes, -1, np.int64)
    last = np.full(nodes, -1, np.int64)
    following = np.full(2 * count, -1, np.int64)
    degree = np.zeros(nodes, np.int64)
    for end in range(2 * count):
        node = ends[end // 2, end % 2]
        following[end] = first[node]
        first[node] = end
        if last[node] < 0:
            last[node] = end
        degree[node] += 1
    version = np.zeros(count, np.int64)
    heap = [(0.0, np.int64(0), np.int64(0)) for _ in range(0)]
    for e in range(count):
        a, b = ends[e]
        cost = _cost(totals[e], lengths[e], (volumes[a], volumes[b]), (within[a], within[b]), ncut)
        heap.append((cost, np.int64(e), np.int64(0)))
    heapq.heapify(heap)

    kept = np.empty(max(nodes - 1, 0), np.int64)
    gone = np.empty(max(nodes - 1, 0), np.int64)
    costs = np.empty(max(nodes - 1, 0), np.float64)
    edge_to = np.full(nodes, -1, np.int64)
    joints = 0
    while len(heap) > 0:
        cost, e, then = heapq.heappop(heap)
        if version[e] != then:
            continue
        a, b = ends[e]
        if degree[a] < degree[b]:
            a, b = b, a
        kept[joints], gone[joints], costs[joints] = a, b, cost
        joints += 1
        version[e] = -1
        volumes[a] += volumes[b]
        within[a] += within[b] + 2 * totals[e]
        if last[a] < 0:
            first[a] = first[b]
        else:
            following[last[a]] = first[b]
        if last[b] >= 0:
            last[a] = last[b]
        # Walk the joined chain: drop dead ends, join edges to the same node, price the rest anew.
        before, end = np.int64(-1), first[a]
        degree[a] = 0
        while end >= 0:
            f, after = end // 2, following[end]
            keep = version[f] >= 0
            if keep:
                ends[f, end % 2] = a
                other = ends[f, 1 - end % 2]
                if edge_to[other] >= 0:
                    g = edge_to[other]
                    totals[g] += totals[f]
                    lengths[g] += lengths[f]
                    version[f] = -1
                    keep = False
                else:
                    edge_to[other] = f
            if keep:
                degree[a] += 1
                before = end
            elif before < 0:
                first[a] = after
            else:
                following[before] = after
            end = after
        last[a] = before
        end = first[a]
        while end >= 0:
            f = end // 2
            other = ends[f, 1 - end % 2]
            edge_to[other] = -1
            version[f] += 1
            price = _cost(
                totals[f],
                lengths[f],
                (volumes[a], volumes[other]),
                (within[a], within[other]),
                ncut,
            )
            heapq.heappush(heap, (price, f, version[f]))
            end = following[end]
    return kept[:joints], gone[:joints], costs[:joints]
