"""Moves that lower the energy of a labelling by minimum cuts: many nodes change at once.

The energy of labels f is the sum of unary[f_p, p] over the nodes and of
weight[p, q] costs[f_p, f_q] over the edges. In one move every node has a low and a high label, and
the best of all choices between them is found, exactly, by a cut (Kolmogorov and Zabih 2004, "What
energy functions can be minimized via graph cuts?", doi:10.1109/TPAMI.2004.1262177, theorem 4.1).
Expansion of a label: low is what the node has, high that label. Swap of two labels: low is the
first, high the second.

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


@numba.njit(cache=True, nogil=True)
@no_type_check
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
    start, head, weight = arcs.start, arcs.head, arcs.weight
    total = 0.0
    for p in range(labels.shape[0]):
        total += unary[labels[p], p]
        for a in range(start[p], start[p + 1]):
            q = head[a]
            if p < q:
                total += np.float64(weight[a]) * costs[labels[p], labels[q]]
    return total


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


# Arrays are taken out of their tuples before loops: numba counts references at every access.


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
    unary, reach, labels, present = space.unary, space.reach, space.labels, space.present
    strength, changed, seen, state = space.strength, space.changed, space.seen, space.state
    nodes, waiting, tree = space.nodes, space.waiting, space.cut.tree
    gain = 0.0
    for p in range(labels.shape[0]):
        if changed[p] <= since or seen[p] == number:
            continue
        if _stays(p, low, high, unary, reach, strength, labels, present):
            continue
        count = _gather_island(space, p, low, high, number)
        _set_capacities(space, count, low, high, number)
        _decide(space, count)
        rest = 0
        for i in range(count):
            if state[nodes[i]] == _OPEN:
                waiting[rest] = nodes[i]
                rest += 1
        if rest > 0:
            cut_nodes(waiting[:rest], space.arcs, space.cut)
            for i in range(rest):
                q = waiting[i]
                state[q] = _HIGH if tree[q] == SOURCE else _LOW
        gain += _apply(space, count, low, high, number)
    return gain


@numba.njit(cache=True, nogil=True, inline="always")
@no_type_check
def _stays(p, low, high, unary, reach, strength, labels, present) -> bool:  # noqa: ANN001
    """Whether a node's unary costs alone, against all its edges, keep its label."""
    label = labels[p]
    if low < 0:
        other = high
        fixed = label == high
    else:
        other = high if label == low else low
        fixed = label != low and label != high
    return fixed or unary[other, p] - present[p] >= strength[p] * reach[label, other]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _gather_island(space: MoveSpace, p: int, low: int, high: int, number: int) -> int:
    """List the connected nodes, p first, that may change."""
    start, head = space.arcs.start, space.arcs.head
    unary, reach, labels, present = space.unary, space.reach, space.labels, space.present
    strength, seen, nodes = space.strength, space.seen, space.nodes
    nodes[0] = p
    seen[p] = number
    count = 1
    done = 0
    while done < count:
        v = nodes[done]
        done += 1
        for a in range(start[v], start[v + 1]):
            q = head[a]
            if seen[q] == number:
                continue
            if not _stays(q, low, high, unary, reach, strength, labels, present):
                seen[q] = number
                nodes[count] = q
                count += 1
    return count


@numba.njit(cache=True, nogil=True)
@no_type_check
def _set_capacities(space: MoveSpace, count: int, low: int, high: int, number: int) -> None:
    """Turn the move's energy into capacities, half of each edge's either way.

    For an edge, E(0, 1) + E(1, 0) - E(0, 0) - E(1, 1) is what it costs to part its ends; the rest
    of its four values is a sum of one number for either end.
    """
    start, head, mate, weights = (
        space.arcs.start,
        space.arcs.head,
        space.arcs.mate,
        space.arcs.weight,
    )
    unary, costs, labels, seen = space.unary, space.costs, space.labels, space.seen
    residual, excesses = space.cut.residual, space.cut.excess
    nodes, state, rooms = space.nodes, space.state, space.room
    both_high = np.float64(costs[high, high])
    for i in range(count):
        p = nodes[i]
        first = labels[p] if low < 0 else low
        excess = np.float64(unary[first, p]) - np.float64(unary[high, p])
        room = 0.0
        p_low = np.float64(costs[first, high])
        for a in range(start[p], start[p + 1]):
            q = head[a]
            weight = np.float64(weights[a])
            second = labels[q]
            if seen[q] != number:
                residual[a] = 0
                residual[mate[a]] = 0
                excess += weight * (costs[first, second] - costs[high, second])
                continue
            if low >= 0:
                second = low
            both_low = np.float64(costs[first, second])
            p_high = np.float64(costs[high, second])
            excess += weight * 0.5 * (both_low + p_low - p_high - both_high)
            capacity = weight * 0.5 * max(p_low + p_high - both_low - both_high, 0.0)
            residual[a] = capacity
            room += capacity
        excesses[p] = excess
        rooms[p] = room
        state[p] = _OPEN


@numba.njit(cache=True, nogil=True)
@no_type_check
def _decide(space: MoveSpace, count: int) -> None:
    """Decide nodes whose excess outweighs all their edges, and what follows from that."""
    start, head, mate = space.arcs.start, space.arcs.head, space.arcs.mate
    residual, excess = space.cut.residual, space.cut.excess
    nodes, state, room, stack = space.nodes, space.state, space.room, space.waiting
    waiting = 0
    for i in range(count):
        p = nodes[i]
        if excess[p] > room[p] or -excess[p] >= room[p]:
            state[p] = _HIGH if excess[p] > room[p] else _LOW
            stack[waiting] = p
            waiting += 1
    while waiting > 0:
        waiting -= 1
        p = stack[waiting]
        for a in range(start[p], start[p + 1]):
            q = head[a]
            capacity = residual[a]
            if capacity <= 0 or state[q] != _OPEN:
                continue
            residual[a] = 0
            residual[mate[a]] = 0
            excess[q] += capacity if state[p] == _HIGH else -capacity
            room[q] -= capacity
            if excess[q] > room[q] or -excess[q] >= room[q]:
                state[q] = _HIGH if excess[q] > room[q] else _LOW
                stack[waiting] = q
                waiting += 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _apply(space: MoveSpace, count: int, low: int, high: int, number: int) -> float:
    """Change an island's labels if that lowers the energy, and return by how much."""
    start, head, weights, costs = (
        space.arcs.start,
        space.arcs.head,
        space.arcs.weight,
        space.costs,
    )
    unary, labels, present, changed = space.unary, space.labels, space.present, space.changed
    seen, state, nodes, list_ = space.seen, space.state, space.nodes, space.waiting
    gain = 0.0
    size = 0.0
    moved = 0
    for i in range(count):
        p = nodes[i]
        new = high if state[p] == _HIGH else (labels[p] if low < 0 else low)
        if new == labels[p]:
            continue
        list_[moved] = p
        moved += 1
        old = labels[p]
        change = np.float64(unary[new, p]) - np.float64(present[p])
        gain += change
        size += abs(change)
        for a in range(start[p], start[p + 1]):
            q = head[a]
            before = labels[q]
            after = before
            if seen[q] == number:
                if state[q] == _HIGH:
                    after = high
                elif low >= 0:
                    after = low
            change = np.float64(weights[a]) * (
                np.float64(costs[new, after]) - np.float64(costs[old, before])
            )
            gain += change if before == after else 0.5 * change
            size += abs(change)
    # Less than the sum's own rounding is no gain, and would let moves go on for ever.
    if gain > -1e-12 * size or moved == 0:
        return 0.0
    for i in range(moved):
        p = list_[i]
        labels[p] = high if state[p] == _HIGH else low
        present[p] = unary[labels[p], p]
        changed[p] = number
        for a in range(start[p], start[p + 1]):
            changed[head[a]] = number
    return gain
