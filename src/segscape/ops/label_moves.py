"""Moves that lower the energy of a labelling by minimum cuts: many nodes change at once.

The energy of labels f is the sum of unary[f_p, p] over the nodes and of
weight[p, q] costs[f_p, f_q] over the edges. In one move every node has a low and a high label, and the best of all choices
between them is found, exactly, by a cut (Kolmogorov and Zabih 2004, "What energy functions can be
minimized via graph cuts?", doi:10.1109/TPAMI.2004.1262177, theorem 4.1). Expansion of a label: low
is what the node has, high that label. Swap of two labels: low is the first, high the second.

What makes it fast, at no loss: a node whose unary advantage outweighs all its edges is decided
before the cut, and so, in turn, are its neighbours; what is left falls into islands, which are cut
one by one; and an island in which, and next to which, nothing has changed since the last such move
is not looked at again, since its answer was, and is, to stay.
"""

from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8
from numpy import ndarray

from segscape.ops.sparse_cut import SOURCE, Arcs, CutSpace, cut_nodes, cut_space

_OPEN, _LOW, _HIGH = 0, 1, 2


class MoveSpace(NamedTuple):
    """A labelling, its energy's parts and what moves work in.

    Args:
        unary: the cost of each label at each node.
        arcs: the edges.
        costs: of two labels at the ends of an edge, per unit of its weight; symmetric, 0 or more.
        reach: by how much an edge of weight 1 can prefer one label to another:
            max over l of |costs[a, l] - costs[b, l]|.
        strength: the sum of the weights of each node's edges.
        labels: the present ones; moves change them.
        present: the unary costs of the present labels.
        changed: the number of the move that last changed a node or a neighbour of it.
        seen: the number of the move that last looked at a node.
        state: decided for low or high, or open.
        room: the sum of the capacities of a node's edges to open ones.
        nodes: a list of nodes.
        waiting: another.
        cut: what cuts work in.
    """

    unary: Float32[ndarray, "label node"]
    arcs: Arcs
    costs: Float32[ndarray, "label label"]
    reach: Float32[ndarray, "label label"]
    strength: Float32[ndarray, "node"]
    labels: Int32[ndarray, "node"]
    present: Float32[ndarray, "node"]
    changed: Int32[ndarray, "node"]
    seen: Int32[ndarray, "node"]
    state: UInt8[ndarray, "node"]
    room: Float64[ndarray, "node"]
    nodes: Int32[ndarray, "node"]
    waiting: Int32[ndarray, "node"]
    cut: CutSpace


def move_space(
    unary: Float32[ndarray, "label node"],
    arcs: Arcs,
    costs: Float32[ndarray, "label label"],
    labels: Int32[ndarray, "node"],
) -> MoveSpace:
    """Make the space for the moves of one labelling, which is copied."""
    count = unary.shape[1]
    labels = labels.astype(np.int32)
    strength = np.zeros(count, np.float32)
    _add_up(arcs, strength)
    return MoveSpace(
        unary=np.ascontiguousarray(unary),
        arcs=arcs,
        costs=np.ascontiguousarray(costs),
        reach=_reach(costs),
        strength=strength,
        labels=labels,
        present=unary[labels, np.arange(count)],
        changed=np.zeros(count, np.int32),
        seen=np.full(count, -1, np.int32),
        state=np.zeros(count, np.uint8),
        room=np.zeros(count, np.float64),
        nodes=np.empty(count, np.int32),
        waiting=np.empty(count, np.int32),
        cut=cut_space(arcs),
    )


def labelling_energy(
    unary: Float32[ndarray, "label node"],
    arcs: Arcs,
    costs: Float32[ndarray, "label label"],
    labels: Int32[ndarray, "node"],
) -> float:
    """Add up the energy of a labelling in float64.

    >>> from segscape.ops.sparse_cut import graph_arcs
    >>> arcs = graph_arcs(2, np.array([[0, 1]], np.int32), np.array([3], np.float32))
    >>> potts = 1 - np.eye(2, dtype=np.float32)
    >>> unary = np.array([[1, 5], [5, 1]], np.float32)
    >>> labelling_energy(unary, arcs, potts, np.array([0, 1], np.int32))
    5.0
    """
    return float(_energy(unary, arcs, costs, labels))


def _reach(costs: Float32[ndarray, "label label"]) -> Float32[ndarray, "label label"]:
    return np.stack([np.abs(row - costs).max(axis=1) for row in costs]).astype(np.float32)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _add_up(arcs: Arcs, strength: Float32[ndarray, "node"]) -> None:
    for p in range(strength.shape[0]):
        total = 0.0
        for a in range(arcs.start[p], arcs.start[p + 1]):
            total += arcs.weight[a]
        strength[p] = total


@numba.njit(cache=True, nogil=True)
@no_type_check
def _energy(
    unary: Float32[ndarray, "label node"],
    arcs: Arcs,
    costs: Float32[ndarray, "label label"],
    labels: Int32[ndarray, "node"],
) -> float:
    total = 0.0
    for p in range(labels.shape[0]):
        total += unary[labels[p], p]
        for a in range(arcs.start[p], arcs.start[p + 1]):
            q = arcs.head[a]
            if p < q:
                total += np.float64(arcs.weight[a]) * costs[labels[p], labels[q]]
    return total


@numba.njit(cache=True, nogil=True)
@no_type_check
def move(space: MoveSpace, low: int, high: int, number: int, since: int) -> float:
    """Make the best move of one kind and return by how much it changed the energy, 0 or less.

    Args:
        space: the labelling, which is changed, and the rest.
        low: the first label of a swap; -1 for an expansion.
        high: the label that expands, or the second label of a swap.
        number: of this move, greater than those of all before.
        since: the number of the last move of this kind; -1 if there was none.
    """
    gain = 0.0
    for p in range(space.labels.shape[0]):
        if space.changed[p] <= since or space.seen[p] == number or _stays(space, p, low, high):
            continue
        count = _gather_island(space, p, low, high, number)
        _set_capacities(space, count, low, high, number)
        _decide(space, count, number)
        rest = 0
        for i in range(count):
            if space.state[space.nodes[i]] == _OPEN:
                space.waiting[rest] = space.nodes[i]
                rest += 1
        if rest > 0:
            cut_nodes(space.waiting[:rest], space.arcs, space.cut)
            for i in range(rest):
                q = space.waiting[i]
                space.state[q] = _HIGH if space.cut.tree[q] == SOURCE else _LOW
        gain += _apply(space, count, low, high, number)
    return gain


@numba.njit(cache=True, nogil=True, inline="always")
@no_type_check
def _stays(space: MoveSpace, p: int, low: int, high: int) -> bool:
    """Whether a node's unary costs alone, against all its edges, keep its label."""
    label = space.labels[p]
    if low < 0:
        return label == high or (
            space.unary[high, p] - space.present[p] >= space.strength[p] * space.reach[label, high]
        )
    if label != low and label != high:
        return True
    other = high if label == low else low
    return space.unary[other, p] - space.present[p] >= space.strength[p] * space.reach[low, high]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _gather_island(space: MoveSpace, p: int, low: int, high: int, number: int) -> int:
    """List the connected nodes, p first, that may change."""
    start, head = space.arcs.start, space.arcs.head
    space.nodes[0] = p
    space.seen[p] = number
    count = 1
    done = 0
    while done < count:
        v = space.nodes[done]
        done += 1
        for a in range(start[v], start[v + 1]):
            q = head[a]
            if space.seen[q] != number and not _stays(space, q, low, high):
                space.seen[q] = number
                space.nodes[count] = q
                count += 1
    return count


@numba.njit(cache=True, nogil=True)
@no_type_check
def _set_capacities(space: MoveSpace, count: int, low: int, high: int, number: int) -> None:
    """Turn the move's energy into capacities, half of each edge's either way.

    For an edge, E(0, 1) + E(1, 0) - E(0, 0) - E(1, 1) is what it costs to part its ends; the rest
    of its four values is a sum of one number for either end.
    """
    arcs, costs, cut = space.arcs, space.costs, space.cut
    for i in range(count):
        p = space.nodes[i]
        first = space.labels[p] if low < 0 else low
        excess = np.float64(space.unary[first, p]) - np.float64(space.unary[high, p])
        room = 0.0
        for a in range(arcs.start[p], arcs.start[p + 1]):
            q = arcs.head[a]
            weight = np.float64(arcs.weight[a])
            second = space.labels[q]
            if space.seen[q] != number:
                cut.residual[a] = 0
                cut.residual[arcs.mate[a]] = 0
                excess += weight * (costs[first, second] - costs[high, second])
                continue
            if low >= 0:
                second = low
            both_low = costs[first, second]
            both_high = costs[high, high]
            p_low = costs[first, high]
            p_high = costs[high, second]
            excess += weight * 0.5 * (both_low + p_low - p_high - both_high)
            capacity = weight * 0.5 * max(p_low + p_high - both_low - both_high, 0.0)
            cut.residual[a] = capacity
            room += capacity
        cut.excess[p] = excess
        space.room[p] = room
        space.state[p] = _OPEN


@numba.njit(cache=True, nogil=True)
@no_type_check
def _decide(space: MoveSpace, count: int, number: int) -> None:
    """Decide nodes whose excess outweighs all their edges, and what follows from that."""
    arcs, cut = space.arcs, space.cut
    waiting = 0
    for i in range(count):
        p = space.nodes[i]
        if cut.excess[p] > space.room[p] or -cut.excess[p] >= space.room[p]:
            space.state[p] = _HIGH if cut.excess[p] > space.room[p] else _LOW
            space.waiting[waiting] = p
            waiting += 1
    while waiting > 0:
        waiting -= 1
        p = space.waiting[waiting]
        for a in range(arcs.start[p], arcs.start[p + 1]):
            q = arcs.head[a]
            capacity = cut.residual[a]
            if capacity <= 0 or space.state[q] != _OPEN:
                continue
            cut.residual[a] = 0
            cut.residual[arcs.mate[a]] = 0
            cut.excess[q] += capacity if space.state[p] == _HIGH else -capacity
            space.room[q] -= capacity
            if cut.excess[q] > space.room[q] or -cut.excess[q] >= space.room[q]:
                space.state[q] = _HIGH if cut.excess[q] > space.room[q] else _LOW
                space.waiting[waiting] = q
                waiting += 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _apply(space: MoveSpace, count: int, low: int, high: int, number: int) -> float:
    """Change an island's labels if that lowers the energy, and return by how much."""
    arcs, costs, labels = space.arcs, space.costs, space.labels
    gain = 0.0
    size = 0.0
    moved = 0
    for i in range(count):
        p = space.nodes[i]
        new = high if space.state[p] == _HIGH else (labels[p] if low < 0 else low)
        if new == labels[p]:
            continue
        space.waiting[moved] = p
        moved += 1
        old = labels[p]
        change = np.float64(space.unary[new, p]) - np.float64(space.present[p])
        gain += change
        size += abs(change)
        for a in range(arcs.start[p], arcs.start[p + 1]):
            q = arcs.head[a]
            before = labels[q]
            after = before
            if space.seen[q] == number:
                if space.state[q] == _HIGH:
                    after = high
                elif low >= 0:
                    after = low
            change = np.float64(arcs.weight[a]) * (costs[new, after] - costs[old, before])
            gain += change if before == after else 0.5 * change
            size += abs(change)
    # Less than the sum's own rounding is no gain, and would let moves go on for ever.
    if gain > -1e-12 * size or moved == 0:
        return 0.0
    for i in range(moved):
        p = space.waiting[i]
        labels[p] = high if space.state[p] == _HIGH else low
        space.present[p] = space.unary[labels[p], p]
        space.changed[p] = number
        for a in range(arcs.start[p], arcs.start[p + 1]):
            space.changed[arcs.head[a]] = number
    return gain
