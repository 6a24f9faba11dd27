"""Preflows on a grid: excess runs down a forest whose roots are the deficits.

Goldberg, Hed, Kaplan, Kohli, Tarjan and Werneck 2015, "Faster and more dynamic maximum flow by
incremental breadth-first search" (doi:10.1007/978-3-662-48350-3_52).

How it works. Every node holds an excess, what the source gives it beyond what the sink takes, or a
deficit, the opposite. Excess runs downhill over edges with room left until it fills a deficit; when
no more can, the nodes that still reach a deficit are the sink side. A forest with its roots at the
deficits tells what downhill is: a node lies higher than its parent, and its edge to the parent has
room. Levels are grown one by one. After each, all excess in the forest is pushed down in waves from
the top; nodes cut off by full edges get new parents, or leave until the forest grows to them again.

Differences from the paper: one forest in place of two, so excess moves and deficits stay. Heights
are no exact distances: a generation is 32 high, so that a node that lost its parent finds another
of about its own height and fits below its children, which then need not be moved (on photographs
this saves four fifths of the moves). What one wave cuts off is put back together in one go.
"""

from typing import NamedTuple, no_type_check

import numba
import numpy as np
from numpy import ndarray

# The height of a generation, as a power of two; and how many heights the waves tell apart: what is
# above them waits in the last one, which changes the order of the work, not the result.
_SHIFT = 5
_GENERATION = 1 << _SHIFT
_BUCKETS = 4096
MOST_LEVELS = (2**31 >> _SHIFT) - 2

_ROOT, _ORPHAN = -2, -1
_LAST, _ABSENT = -1, -2
_LEVEL, _TOP, _RIM = 0, 1, 2


class FlowGraph(NamedTuple):
    """A grid in a frame of nodes without edges, which spares the tests for borders.

    Args:
        residual: arc d of node v leads to v + offsets[d] and is number v * degree + d; its reverse
            is arc degree - 1 - d there.
        excess: of every node; below zero a deficit.
        offsets: as many as the degree, sorted.
    """

    residual: ndarray
    excess: ndarray
    offsets: ndarray


class FlowForest(NamedTuple):
    """Heights and parents, and lists of nodes linked by arrays.

    A node outside the forest has a height below zero: that of its last stay, inverted bit by bit.
    `waiting` links nodes with excess by height; `rim` those of the highest level.
    """

    height: ndarray
    parent: ndarray
    waiting: ndarray
    rim: ndarray
    orphans: ndarray
    found: ndarray
    heads: ndarray
    seeds: ndarray
    state: ndarray


def flow_forest(count: int) -> FlowForest:
    """Make an empty forest for so many nodes."""

    def numbers() -> ndarray:
        return np.empty(count, np.int32)

    return FlowForest(
        height=np.full(count, -1, np.int32),
        parent=np.empty(count, np.int8),
        waiting=numbers(),
        rim=numbers(),
        orphans=numbers(),
        found=numbers(),
        heads=np.empty(_BUCKETS, np.int32),
        seeds=np.empty(_BUCKETS, np.int32),
        state=np.zeros(3, np.int64),
    )


@numba.njit(cache=True, nogil=True)
@no_type_check
def run_downhill(graph: FlowGraph, forest: FlowForest, most_levels: int) -> bool:
    """Push excess to deficits until none of it can reach one; False when heights run out."""
    state = forest.state
    _plant(graph, forest)
    while state[_RIM] != _LAST:
        if state[_LEVEL] >= most_levels:
            return False
        _grow(graph, forest)
        while state[_TOP] >= 0:
            orphans = _push_down(graph, forest)
            if orphans > 0:
                cut_off = _find_parents(graph, forest, orphans)
                _put_back(graph, forest, cut_off)
    return True


@numba.njit(cache=True, nogil=True)
@no_type_check
def _plant(graph: FlowGraph, forest: FlowForest) -> None:
    """Make every deficit a root, at height 0."""
    _residual, excess, _offsets = graph
    height, parent, waiting, rim, _queue, _found, heads, seeds, state = forest
    heads[:] = _LAST
    seeds[:] = _LAST
    waiting[:] = _ABSENT
    rim[:] = _ABSENT
    state[_LEVEL] = 0
    state[_TOP] = -1
    state[_RIM] = _LAST
    for v in range(excess.size):
        parent[v] = _ORPHAN
        if excess[v] < 0:
            height[v] = 0
            parent[v] = _ROOT
            _join_rim(rim, state, v)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _join_rim(rim: ndarray, state: ndarray, v: int) -> None:
    """Note that a node is at the highest level, where the forest may grow."""
    if rim[v] == _ABSENT:
        rim[v] = state[_RIM]
        state[_RIM] = v


@numba.njit(cache=True, nogil=True)
@no_type_check
def _wait(height: ndarray, waiting: ndarray, heads: ndarray, v: int) -> int:
    """Let a node with excess wait for the wave to reach its height; return the bucket it is in."""
    bucket = min((height[v] + _GENERATION - 1) >> _SHIFT, _BUCKETS - 1)
    if waiting[v] == _ABSENT:
        waiting[v] = heads[bucket]
        heads[bucket] = v
    return bucket


@numba.njit(cache=True, nogil=True)
@no_type_check
def _grow(graph: FlowGraph, forest: FlowForest) -> None:
    """Adopt all nodes that have room towards the highest level: they are the next level."""
    residual, excess, offsets = graph
    degree = offsets.size
    height, parent, waiting, rim, queue, _found, heads, _seeds, state = forest
    level = state[_LEVEL]
    count = 0
    v = state[_RIM]
    while v != _LAST:
        queue[count] = v
        count += 1
        following = rim[v]
        rim[v] = _ABSENT
        v = following
    state[_RIM] = _LAST
    state[_LEVEL] = level + 1
    for i in range(count):
        v = np.int64(queue[i])
        here = height[v]
        if here <= (level - 1) * _GENERATION or here > level * _GENERATION:
            continue
        for d in range(degree):
            q = v + offsets[d]
            if height[q] >= 0:
                continue
            back = degree - 1 - d
            if residual[q * degree + back] > 0:
                height[q] = here + _GENERATION
                parent[q] = back
                _join_rim(rim, state, q)
                if excess[q] > 0:
                    state[_TOP] = max(state[_TOP], _wait(height, waiting, heads, q))


@numba.njit(cache=True, nogil=True)
@no_type_check
def _push_down(graph: FlowGraph, forest: FlowForest) -> int:
    """Push all excess down, from the highest nodes on; list nodes left without a parent."""
    residual, excess, offsets = graph
    degree = offsets.size
    height, parent, waiting, _rim, queue, _found, heads, _seeds, state = forest
    orphans = 0
    top = state[_TOP]
    state[_TOP] = -1
    for bucket in range(top, 0, -1):
        while heads[bucket] != _LAST:
            v = np.int64(heads[bucket])
            heads[bucket] = waiting[v]
            waiting[v] = _ABSENT
            here = height[v]
            if here < 0:
                continue
            left = excess[v]
            support = _ORPHAN
            first = v * degree
            for d in range(degree):
                room = residual[first + d]
                if room <= 0:
                    continue
                q = v + offsets[d]
                below = height[q]
                if below < 0 or below >= here:
                    continue
                if left <= 0:
                    support = d
                    break
                amount = min(left, excess.dtype.type(room))
                left -= amount
                residual[first + d] -= amount
                residual[q * degree + degree - 1 - d] += amount
                before = excess[q]
                excess[q] = before + amount
                if before < 0:
                    if before + amount >= 0:
                        parent[q] = _ORPHAN
                        queue[orphans] = q
                        orphans += 1
                elif before == 0 and below > 0:
                    reached = _wait(height, waiting, heads, q)
                    if reached > bucket:
                        state[_TOP] = max(state[_TOP], reached)
                if residual[first + d] > 0:
                    support = d
                    break
            excess[v] = left
            if support != _ORPHAN:
                parent[v] = support
            elif parent[v] != _ORPHAN:
                parent[v] = _ORPHAN
                queue[orphans] = v
                orphans += 1
    return orphans


@numba.njit(cache=True, nogil=True)
@no_type_check
def _find_parents(graph: FlowGraph, forest: FlowForest, orphans: int) -> int:
    """Give orphans parents without moving their children; list those for whom none is left.

    A neighbour below all children of a node is none of its descendants, so it may be its parent.
    """
    residual, excess, offsets = graph
    degree = offsets.size
    height, parent, waiting, rim, queue, found, heads, _seeds, state = forest
    limit = state[_LEVEL] * _GENERATION
    cut_off = 0
    while orphans > 0:
        orphans -= 1
        v = np.int64(queue[orphans])
        here = height[v]
        lowest = limit
        way = _ORPHAN
        youngest = limit + 2 * _GENERATION
        first = v * degree
        for d in range(degree):
            q = v + offsets[d]
            there = height[q]
            if there < 0:
                continue
            if parent[q] == degree - 1 - d:
                youngest = min(youngest, there)
            elif there < lowest and parent[q] != _ORPHAN and residual[first + d] > 0:
                lowest = there
                way = d
        if lowest < here:
            parent[v] = way
            continue
        between = min(lowest + _GENERATION, (lowest + youngest) >> 1, limit)
        if way != _ORPHAN and between > lowest:
            parent[v] = way
            height[v] = between
            if between > limit - _GENERATION:
                _join_rim(rim, state, v)
            if excess[v] > 0:
                state[_TOP] = max(state[_TOP], _wait(height, waiting, heads, v))
            continue
        height[v] = ~here
        found[cut_off] = v
        cut_off += 1
        for d in range(degree):
            q = v + offsets[d]
            if height[q] >= 0 and parent[q] == degree - 1 - d:
                parent[q] = _ORPHAN
                queue[orphans] = q
                orphans += 1
    return cut_off


@numba.njit(cache=True, nogil=True)
@no_type_check
def _put_back(graph: FlowGraph, forest: FlowForest, cut_off: int) -> None:
    """Grow the forest back over the nodes cut off, as far as its highest level."""
    residual, excess, offsets = graph
    degree = offsets.size
    height, parent, waiting, rim, queue, found, heads, seeds, state = forest
    limit = (state[_LEVEL] - 1) * _GENERATION
    low, high = _BUCKETS, -1
    following = queue
    for i in range(cut_off):
        v = np.int64(found[i])
        lowest = limit + 1
        first = v * degree
        for d in range(degree):
            there = height[v + offsets[d]]
            if 0 <= there < lowest and residual[first + d] > 0:
                lowest = there
                parent[v] = d
        if lowest <= limit:
            bucket = min(lowest >> _SHIFT, _BUCKETS - 1)
            following[v] = seeds[bucket]
            seeds[bucket] = v
            low, high = min(low, bucket), max(high, bucket)
    done, count = 0, 0
    bucket = low
    while bucket <= high or done < count:
        if bucket <= high:
            v = np.int64(seeds[bucket])
            seeds[bucket] = _LAST
            while v != _LAST:
                if height[v] < 0:
                    p = v + offsets[parent[v]]
                    height[v] = max(~height[v], height[p] + _GENERATION)
                    found[count] = v
                    count += 1
                v = np.int64(following[v])
        bucket += 1
        end = count
        while done < end:
            v = np.int64(found[done])
            done += 1
            here = height[v]
            if excess[v] > 0:
                state[_TOP] = max(state[_TOP], _wait(height, waiting, heads, v))
            if here > limit:
                _join_rim(rim, state, v)
                continue
            for d in range(degree):
                q = v + offsets[d]
                if height[q] >= 0:
                    continue
                back = degree - 1 - d
                if residual[q * degree + back] > 0:
                    height[q] = max(~height[q], here + _GENERATION)
                    parent[q] = back
                    found[count] = q
                    count += 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def reach(graph: FlowGraph, queue: ndarray, reached: ndarray) -> None:
    """Mark what the excess left over can reach."""
    residual, excess, offsets = graph
    degree = offsets.size
    count = 0
    for v in range(excess.size):
        if excess[v] > 0:
            reached[v] = True
            queue[count] = v
            count += 1
    done = 0
    while done < count:
        v = np.int64(queue[done])
        done += 1
        first = v * degree
        for d in range(degree):
            if residual[first + d] > 0:
                q = v + offsets[d]
                if not reached[q]:
                    reached[q] = True
                    queue[count] = q
                    count += 1
