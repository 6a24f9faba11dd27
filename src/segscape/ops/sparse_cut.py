"""Exact minimum cuts of parts of a sparse graph, given as lists of arcs.

Boykov and Kolmogorov 2004, "An experimental comparison of min-cut/max-flow algorithms for energy
minimization in vision" (doi:10.1109/TPAMI.2004.60). `ops/max_flow.py` cuts whole grids; here the
graph may be any, as that of neighbouring regions, and only some of its nodes may take part.
"""

from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8
from numpy import ndarray

FREE, SOURCE, SINK = 0, 1, 2

_TERMINAL, _NONE = -1, -2


class Arcs(NamedTuple):
    """Undirected weighted edges, each as two arcs, sorted by the node they leave.

    Args:
        start: where the arcs of a node begin in the lists below; one more at the end.
        head: the node an arc leads to.
        mate: where the arc back stands.
        weight: the weight of its edge.
    """

    start: Int32[ndarray, "node+1"]
    head: Int32[ndarray, "arc"]
    mate: Int32[ndarray, "arc"]
    weight: Float32[ndarray, "arc"]


def grid_arcs(
    weights: Float32[ndarray, "offset height width"], offsets: tuple[tuple[int, int], ...]
) -> Arcs:
    """List the arcs of a grid; those that lead out of it and those of weight 0 are left out.

    Args:
        weights: of the edge from each pixel p to p + offset, 0 or more.
        offsets: steps in (row, column), one of each pair of opposite ones.

    >>> arcs = grid_arcs(np.ones((1, 1, 3), np.float32), ((0, 1),))
    >>> arcs.start.tolist(), arcs.head.tolist(), arcs.mate.tolist()
    ([0, 1, 3, 4], [1, 0, 2, 1], [1, 0, 3, 2])
    """
    steps = np.array(offsets, np.int64).reshape(-1, 2)
    start = np.zeros(weights[0].size + 1, np.int32)
    none = np.empty(0, np.int32)
    # Counted one place behind each node, arcs add up to where its own start.
    _visit_grid(weights, steps, start[1:], none, none, np.empty(0, np.float32))
    np.cumsum(start, out=start)
    head, mate = np.empty(start[-1], np.int32), np.empty(start[-1], np.int32)
    weight = np.empty(start[-1], np.float32)
    _visit_grid(weights, steps, start[:-1].copy(), head, mate, weight)
    return Arcs(start, head, mate, weight)


def graph_arcs(
    count: int, edges: Int32[ndarray, "edge 2"], weights: Float32[ndarray, "edge"]
) -> Arcs:
    """List the arcs of any graph; those of weight 0 and from a node to itself are left out.

    Args:
        count: the number of nodes.
        edges: pairs of nodes, 0..count - 1; where one stands twice its weights add up.
        weights: 0 or more.

    >>> graph_arcs(2, np.array([[1, 0]], np.int32), np.ones(1, np.float32)).head.tolist()
    [1, 0]
    """
    used = (weights > 0) & (edges[:, 0] != edges[:, 1])
    edges, weights = np.ascontiguousarray(edges[used]), weights[used]
    start = np.zeros(count + 1, np.int32)
    np.cumsum(np.bincount(edges.ravel(), minlength=count), out=start[1:])
    head, mate = np.empty(2 * len(edges), np.int32), np.empty(2 * len(edges), np.int32)
    weight = np.empty(2 * len(edges), np.float32)
    _fill_graph(edges, weights, start[:-1].copy(), head, mate, weight)
    return Arcs(start, head, mate, weight)


class CutSpace(NamedTuple):
    """What `cut_nodes` works in, made once for a graph and used for many cuts.

    Args:
        residual: what an arc can still carry; the capacities at first; 0 for the arcs that leave
            the nodes to be cut.
        excess: what a node can still take from the source, or, negative, give to the sink.
        tree: the answer: `SOURCE` for the nodes on the source side; the rest is on the sink side.
        parent: the arc to a node's parent in its tree.
        stamp: when a node's distance was last known to be right.
        distance: steps to the terminal.
        following: the next one in the queue of active nodes; itself at the end; -1 outside.
        orphans: a queue of nodes that have lost their parent.
        clock: the present time.
    """

    residual: Float64[ndarray, "arc"]
    excess: Float64[ndarray, "node"]
    tree: UInt8[ndarray, "node"]
    parent: Int32[ndarray, "node"]
    stamp: Int32[ndarray, "node"]
    distance: Int32[ndarray, "node"]
    following: Int32[ndarray, "node"]
    orphans: Int32[ndarray, "node"]
    clock: Int32[ndarray, "1"]


def cut_space(arcs: Arcs) -> CutSpace:
    """Make the space for the cuts of one graph."""
    nodes, count = len(arcs.start) - 1, len(arcs.head)
    return CutSpace(
        residual=np.zeros(count, np.float64),
        excess=np.zeros(nodes, np.float64),
        tree=np.zeros(nodes, np.uint8),
        parent=np.full(nodes, _NONE, np.int32),
        stamp=np.zeros(nodes, np.int32),
        distance=np.zeros(nodes, np.int32),
        following=np.full(nodes, -1, np.int32),
        orphans=np.empty(nodes, np.int32),
        clock=np.zeros(1, np.int32),
    )


@numba.njit(cache=True, nogil=True)
@no_type_check
def _visit_grid(
    weights: Float32[ndarray, "offset height width"],
    steps: ndarray,
    place: Int32[ndarray, "node"],
    head: Int32[ndarray, "arc"],
    mate: Int32[ndarray, "arc"],
    weight: Float32[ndarray, "arc"],
) -> None:
    """Join all neighbours; where there is no room for arcs yet, count them."""
    height, width = weights.shape[1:]
    for k in range(steps.shape[0]):
        dy, dx = steps[k, 0], steps[k, 1]
        for y in range(max(0, -dy), min(height, height - dy)):
            for x in range(max(0, -dx), min(width, width - dx)):
                if weights[k, y, x] > 0:
                    p = y * width + x
                    q = (y + dy) * width + x + dx
                    if head.size > 0:
                        _join(p, q, weights[k, y, x], place, head, mate, weight)
                    else:
                        place[p] += 1
                        place[q] += 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _fill_graph(
    edges: Int32[ndarray, "edge 2"],
    weights: Float32[ndarray, "edge"],
    place: Int32[ndarray, "node"],
    head: Int32[ndarray, "arc"],
    mate: Int32[ndarray, "arc"],
    weight: Float32[ndarray, "arc"],
) -> None:
    for i in range(edges.shape[0]):
        _join(edges[i, 0], edges[i, 1], weights[i], place, head, mate, weight)


@numba.njit(cache=True, nogil=True, inline="always")
@no_type_check
def _join(p, q, value, place, head, mate, weight) -> None:  # noqa: ANN001
    here, there = place[p], place[q]
    place[p] += 1
    place[q] += 1
    head[here], head[there] = q, p
    mate[here], mate[there] = there, here
    weight[here] = value
    weight[there] = value


@numba.njit(cache=True, nogil=True)
@no_type_check
def cut_nodes(nodes: Int32[ndarray, "some"], arcs: Arcs, space: CutSpace) -> None:
    """Find the smallest source side of all minimum cuts of some nodes; `space.tree` has it.

    Args:
        nodes: those that take part.
        arcs: the graph.
        space: with the capacities in `residual` and `excess`; both are used up.
    """
    start, head, mate = arcs.start, arcs.head, arcs.mate
    residual, excess, tree, parent = space.residual, space.excess, space.tree, space.parent
    stamp, distance, following = space.stamp, space.distance, space.following
    orphans = space.orphans
    time = space.clock[0]
    first = -1
    last = -1
    for i in range(nodes.shape[0]):
        v = nodes[i]
        stamp[v] = time
        if excess[v] != 0:
            tree[v] = SOURCE if excess[v] > 0 else SINK
            parent[v] = _TERMINAL
            distance[v] = 1
            if first < 0:
                first = v
            else:
                following[last] = v
            last = v
            following[v] = v
        else:
            tree[v] = FREE
            parent[v] = _NONE
    current = -1
    while True:
        p = current
        if p < 0 or tree[p] == FREE:
            p = -1
            while first >= 0:
                p = first
                first = following[p] if following[p] != p else -1
                following[p] = -1
                if tree[p] != FREE:
                    break
                p = -1
            if p < 0:
                break
        side = tree[p]
        bridge = -1
        for a in range(start[p], start[p + 1]):
            if (residual[a] if side == SOURCE else residual[mate[a]]) <= 0:
                continue
            q = head[a]
            if tree[q] == FREE:
                tree[q] = side
                parent[q] = mate[a]
                distance[q] = distance[p] + 1
                stamp[q] = stamp[p]
                if following[q] < 0:
                    if first < 0:
                        first = q
                    else:
                        following[last] = q
                    last = q
                    following[q] = q
            elif tree[q] != side:
                bridge = a if side == SOURCE else mate[a]
                break
            elif stamp[q] <= stamp[p] and distance[q] > distance[p] + 1:
                parent[q] = mate[a]
                distance[q] = distance[p] + 1
                stamp[q] = stamp[p]
        if bridge < 0:
            current = -1
            continue
        current = p
        time += 1
        waiting = _augment(bridge, head, mate, residual, excess, parent, orphans)
        done = 0
        while done < waiting:
            v = orphans[done]
            done += 1
            side = tree[v]
            best = _NONE
            nearest = 2147483647
            for a in range(start[v], start[v + 1]):
                q = head[a]
                if tree[q] != side or parent[q] == _NONE:
                    continue
                if (residual[mate[a]] if side == SOURCE else residual[a]) <= 0:
                    continue
                steps = _steps_to_terminal(q, time, head, parent, stamp, distance)
                if 0 <= steps < nearest:
                    nearest = steps
                    best = a
            if best != _NONE:
                parent[v] = best
                stamp[v] = time
                distance[v] = nearest + 1
                continue
            for a in range(start[v], start[v + 1]):
                q = head[a]
                if tree[q] != side:
                    continue
                if (residual[mate[a]] if side == SOURCE else residual[a]) > 0 and following[q] < 0:
                    if first < 0:
                        first = q
                    else:
                        following[last] = q
                    last = q
                    following[q] = q
                if parent[q] == mate[a]:
                    parent[q] = _NONE
                    orphans[waiting] = q
                    waiting += 1
            tree[v] = FREE
    space.clock[0] = time
    # A later cut meets these as neighbours, and must not take them for parts of its trees.
    for i in range(nodes.shape[0]):
        parent[nodes[i]] = _NONE


@numba.njit(cache=True, nogil=True)
@no_type_check
def _steps_to_terminal(  # noqa: ANN202
    q,  # noqa: ANN001
    time,  # noqa: ANN001
    head,  # noqa: ANN001
    parent,  # noqa: ANN001
    stamp,  # noqa: ANN001
    distance,  # noqa: ANN001
):
    """Count the steps from a node to its terminal; -1 if its tree hangs on an orphan."""
    steps = 0
    x = q
    while True:
        if stamp[x] == time:
            steps += distance[x]
            break
        if parent[x] == _TERMINAL:
            stamp[x] = time
            distance[x] = 1
            steps += 1
            break
        if parent[x] == _NONE:
            return -1
        steps += 1
        x = head[parent[x]]
    left = steps
    x = q
    while stamp[x] != time:
        stamp[x] = time
        distance[x] = left
        left -= 1
        x = head[parent[x]]
    return steps


@numba.njit(cache=True, nogil=True)
@no_type_check
def _augment(  # noqa: ANN202
    bridge,  # noqa: ANN001
    head,  # noqa: ANN001
    mate,  # noqa: ANN001
    residual,  # noqa: ANN001
    excess,  # noqa: ANN001
    parent,  # noqa: ANN001
    orphans,  # noqa: ANN001
):
    """Push what the path over this arc can carry; return how many nodes lost their parent."""
    amount = residual[bridge]
    v = head[mate[bridge]]
    while parent[v] != _TERMINAL:
        amount = min(amount, residual[mate[parent[v]]])
        v = head[parent[v]]
    amount = min(amount, excess[v])
    v = head[bridge]
    while parent[v] != _TERMINAL:
        amount = min(amount, residual[parent[v]])
        v = head[parent[v]]
    amount = min(amount, -excess[v])
    waiting = 0
    residual[bridge] -= amount
    residual[mate[bridge]] += amount
    v = head[mate[bridge]]
    while parent[v] != _TERMINAL:
        a = parent[v]
        residual[a] += amount
        residual[mate[a]] -= amount
        if residual[mate[a]] <= 0:
            parent[v] = _NONE
            orphans[waiting] = v
            waiting += 1
        v = head[a]
    excess[v] -= amount
    if excess[v] <= 0:
        parent[v] = _NONE
        orphans[waiting] = v
        waiting += 1
    v = head[bridge]
    while parent[v] != _TERMINAL:
        a = parent[v]
        residual[a] -= amount
        residual[mate[a]] += amount
        if residual[a] <= 0:
            parent[v] = _NONE
            orphans[waiting] = v
            waiting += 1
        v = head[a]
    excess[v] += amount
    if excess[v] >= 0:
        parent[v] = _NONE
        orphans[waiting] = v
        waiting += 1
    return waiting
