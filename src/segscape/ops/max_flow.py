"""Exact minimum cuts, and so maximum flows, of grids and of sparse graphs.

The energies are those of Boykov and Kolmogorov 2004, "An experimental comparison of
min-cut/max-flow algorithms for energy minimization in vision" (doi:10.1109/TPAMI.2004.60). The
algorithm descends from Goldberg, Hed, Kaplan, Kohli, Tarjan and Werneck 2015, "Faster and more
dynamic maximum flow by incremental breadth-first search" (doi:10.1007/978-3-662-48350-3_52), and
through it from the preflows of Goldberg and Tarjan 1988 (doi:10.1145/48014.61051). Terminals that
change keep the flow: Kohli and Torr 2005, "Efficiently solving dynamic Markov random fields using
graph cuts" (doi:10.1109/ICCV.2005.81).

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

from collections.abc import Sequence
from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Bool, Integer, Shaped
from numpy import ndarray

FOUR = ((0, 1), (1, 0))
EIGHT = ((0, 1), (1, -1), (1, 0), (1, 1))
SIX = ((0, 0, 1), (0, 1, 0), (1, 0, 0))

# The height of a generation, as a power of two; and how many heights the waves tell apart: what is
# above them waits in the last one, which changes the order of the work, not the result.
_SHIFT = 5
_GENERATION = 1 << _SHIFT
_BUCKETS = 4096
_MOST_LEVELS = (2**31 >> _SHIFT) - 2

_ROOT, _ORPHAN = -2, -1
_LAST, _ABSENT = -1, -2
_LEVEL, _TOP, _RIM = 0, 1, 2


class _Graph(NamedTuple):
    """Arcs of a node stand together, and each knows its reverse.

    In a grid (degree > 0) arc d of node v leads to v + offsets[d] and is number v * degree + d; its
    reverse is arc degree - 1 - d there. Else arcs first[v] to first[v + 1] - 1 are those of v, with
    their ends, and `back` is the place of the reverse among the arcs of the end.
    """

    residual: ndarray
    excess: ndarray
    degree: int
    offsets: ndarray
    first: ndarray
    ends: ndarray
    back: ndarray


class _Forest(NamedTuple):
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


class _Cut:
    """What cuts of grids and of graphs share."""

    def __init__(self, graph: _Graph, excess: ndarray, *, source: ndarray, sink: ndarray) -> None:
        # The forest covers the larger side, whose nodes reach their terminal soonest: where that is
        # the source's, all arcs and signs are turned round.
        self._graph = graph
        self._excess = excess
        self._mirrored = _is_mirrored(source, sink)
        self._supply = 0.0
        self._side = np.zeros(graph.excess.size, np.bool_)
        self._change(source, sink)

    def solve(self) -> float:
        """Find the minimum cut, going on from the last flow if there is one; return its sum."""
        count = self._graph.excess.size

        def numbers() -> ndarray:
            return np.empty(count, np.int32)

        forest = _Forest(
            height=np.full(count, -1, np.int32),
            parent=np.empty(count, np.int8 if self._graph.degree else np.int32),
            waiting=numbers(),
            rim=numbers(),
            orphans=numbers(),
            found=numbers(),
            heads=np.empty(_BUCKETS, np.int32),
            seeds=np.empty(_BUCKETS, np.int32),
            state=np.zeros(3, np.int64),
        )
        while not _run_downhill(self._graph, forest, _MOST_LEVELS):
            forest.height.fill(-1)
        if self._mirrored:
            np.greater_equal(forest.height, 0, out=self._side)
        else:
            self._side.fill(False)
            _reach(self._graph, forest.orphans, self._side)
        del forest  # before as much is taken for the sum
        return self._supply - float(np.maximum(self._graph.excess, 0).sum())

    def _change(self, source: ndarray, sink: ndarray) -> None:
        gain, loss = (sink, source) if self._mirrored else (source, sink)
        self._excess += gain.astype(self._excess.dtype, copy=False)
        self._excess -= loss.astype(self._excess.dtype, copy=False)
        self._supply += float(gain.sum(dtype=np.float64))

    def _add_terminals(self, source: ndarray, sink: ndarray) -> None:
        for name, values in (("source", source), ("sink", sink)):
            if values.shape != self._excess.shape:
                raise ValueError(
                    f"add_terminals got {name} of shape {values.shape}, "
                    f"expected {self._excess.shape}"
                )
            if np.issubdtype(values.dtype, np.floating):
                if self._excess.dtype == np.int64:
                    raise ValueError(
                        f"add_terminals got {name} of {values.dtype} for a cut of integers: "
                        "round it, or build the cut from floats"
                    )
                if not np.isfinite(values).all():
                    raise ValueError(f"add_terminals got {name} with values that are not finite")
        self._change(source, sink)


class GridCut(_Cut):
    """A minimum cut of a grid, kept for edits: solve, change terminals, solve again.

    The cut splits the pixels into a source side and a sink side so that the sum of what it cuts is
    least: `source` of every pixel on the sink side, `sink` of every pixel on the source side, and
    the edges that lead from the source side to the sink side. That sum is the maximum flow.

    Pixels that could be on either side at the same cost go to the sink side: the source side is the
    smallest of all minimum cuts, so it does not depend on the way it was found. Pixels without any
    capacity are on the sink side, and cost nothing but memory.

    Edges are held as float32, or as int32 when all capacities are integers (then the cut is exact
    to the last unit); terminals as float64 or int64. At 8 neighbours that and the work take 63
    bytes a pixel.

    Args:
        source: capacities from the source, 0 or more: what it costs to be on the sink side.
        sink: capacities to the sink, 0 or more: what it costs to be on the source side.
        edges: for each offset, capacities from each pixel p to p + offset, 0 or more; those that
            lead out of the grid are ignored.
        reverse: the same for p + offset to p; None for the same capacities both ways.
        offsets: steps along the axes, one of each pair of opposite ones: `FOUR`, `EIGHT` for
            images, `SIX` for volumes, or up to 60 others.

    Raises:
        ValueError: for shapes that do not fit, for capacities that are negative, not finite or
            beyond their type.

    >>> source, sink = np.array([[9, 1, 0, 0]]), np.array([[0, 0, 2, 9]])
    >>> edges = np.array([[[5, 1, 5, 0]]])
    >>> cut = GridCut(source, sink, edges, offsets=((0, 1),))
    >>> cut.solve(), cut.source_side.astype(int).tolist()
    (1.0, [[1, 1, 0, 0]])
    >>> cut.add_terminals(np.array([[0, 0, 9, 0]]), np.array([[0, 0, 0, 0]]))
    >>> cut.solve(), cut.source_side.astype(int).tolist()
    (7.0, [[1, 1, 1, 0]])
    """

    def __init__(
        self,
        source: Shaped[ndarray, "*grid"],
        sink: Shaped[ndarray, "*grid"],
        edges: Shaped[ndarray, "offset *grid"],
        reverse: Shaped[ndarray, "offset *grid"] | None = None,
        *,
        offsets: Sequence[Sequence[int]] = EIGHT,
    ) -> None:
        reverse = edges if reverse is None else reverse
        steps = np.array(offsets, np.int64).reshape(len(offsets), -1)
        _check_grid(source, sink, edges, reverse, steps)
        whole = _are_whole(source, sink, edges, reverse)
        ahead, behind = (reverse, edges) if _is_mirrored(source, sink) else (edges, reverse)
        # A frame of zeros spares the kernels the tests for borders.
        frame = np.abs(steps).max(axis=0)
        framed = tuple(int(n) for n in np.array(source.shape) + 2 * frame)
        strides = np.append(np.cumprod(framed[:0:-1])[::-1], 1).astype(np.int64)
        order = np.argsort(steps @ strides)
        ways = (steps @ strides)[order]
        residual = np.zeros((*framed, 2 * len(steps)), np.int32 if whole else np.float32)
        for place, k in enumerate(order):
            inside, start, end = _places(source.shape, frame, steps[k])
            residual[(*start, len(steps) + place)] = ahead[k][inside]
            residual[(*end, len(steps) - 1 - place)] = behind[k][inside]
        excess = np.zeros(framed, np.int64 if whole else np.float64)
        nothing = np.zeros(0, np.int32)
        super().__init__(
            _Graph(
                residual=residual.reshape(-1),
                excess=excess.reshape(-1),
                degree=2 * len(steps),
                offsets=np.concatenate([-ways[::-1], ways]),
                first=nothing,
                ends=nothing,
                back=nothing,
            ),
            _inner(excess, frame, source.shape),
            source=source,
            sink=sink,
        )
        self._frame, self._framed = frame, framed

    @property
    def source_side(self) -> Bool[ndarray, "*grid"]:
        """Where pixels are on the source side, after `solve`."""
        side = self._side.reshape(self._framed)
        return _inner(side, self._frame, self._excess.shape).copy()

    def add_terminals(
        self, source: Shaped[ndarray, "*grid"], sink: Shaped[ndarray, "*grid"]
    ) -> None:
        """Change the capacities of the terminals; the flow found so far is kept.

        Args:
            source: what is added to the capacities from the source; may be negative. A sum below
                zero is right, too: it rewards the sink side.
            sink: what is added to those to the sink, likewise.

        Raises:
            ValueError: for another shape, values that are not finite, or floats for a cut of
                integers.
        """
        self._add_terminals(source, sink)


class SparseCut(_Cut):
    """A minimum cut of any graph, as of regions that touch; otherwise as `GridCut`.

    Args:
        source: capacities from the source to each node, 0 or more.
        sink: capacities to the sink, 0 or more.
        pairs: the two nodes of each edge; edges between the same nodes add up.
        capacities: from the first node to the second, 0 or more.
        reverse: from the second to the first; None for the same both ways.

    Raises:
        ValueError: for shapes that do not fit, nodes that do not exist, or capacities that are
            negative, not finite or beyond their type.

    >>> pairs = np.array([[0, 1], [1, 2]])
    >>> cut = SparseCut(np.array([9, 0, 0]), np.array([0, 0, 9]), pairs, np.array([5, 3]))
    >>> cut.solve(), cut.source_side.tolist()
    (3.0, [True, True, False])
    """

    def __init__(
        self,
        source: Shaped[ndarray, " node"],
        sink: Shaped[ndarray, " node"],
        pairs: Integer[ndarray, "edge 2"],
        capacities: Shaped[ndarray, " edge"],
        reverse: Shaped[ndarray, " edge"] | None = None,
    ) -> None:
        reverse = capacities if reverse is None else reverse
        _check_sparse(source, sink, pairs, capacities, reverse)
        whole = _are_whole(source, sink, capacities, reverse)
        count = len(pairs)
        tails = pairs.T.reshape(-1)
        order = np.argsort(tails, kind="stable")
        first = np.zeros(source.size + 1, np.int32)
        np.cumsum(np.bincount(tails, minlength=source.size), out=first[1:])
        place = np.empty(2 * count, np.int64)
        place[order] = np.arange(2 * count)
        partner = (order + count) % max(1, 2 * count)
        ahead, behind = (
            (reverse, capacities) if _is_mirrored(source, sink) else (capacities, reverse)
        )
        excess = np.zeros(source.size, np.int64 if whole else np.float64)
        super().__init__(
            _Graph(
                residual=np.concatenate([ahead, behind])[order].astype(
                    np.int32 if whole else np.float32
                ),
                excess=excess,
                degree=0,
                offsets=np.zeros(0, np.int64),
                first=first,
                ends=tails[partner].astype(np.int32),
                back=(place[partner] - first[tails[partner]]).astype(np.int32),
            ),
            excess,
            source=source,
            sink=sink,
        )

    @property
    def source_side(self) -> Bool[ndarray, " node"]:
        """Which nodes are on the source side, after `solve`."""
        return self._side.copy()

    def add_terminals(
        self, source: Shaped[ndarray, " node"], sink: Shaped[ndarray, " node"]
    ) -> None:
        """Change the capacities of the terminals, as `GridCut.add_terminals`.

        Raises:
            ValueError: as there.
        """
        self._add_terminals(source, sink)


def _is_mirrored(source: ndarray, sink: ndarray) -> bool:
    return bool(np.count_nonzero(source > sink) > np.count_nonzero(source < sink))


def _inner(framed: ndarray, frame: ndarray, shape: tuple[int, ...]) -> ndarray:
    return framed[tuple(slice(f, f + n) for f, n in zip(frame, shape, strict=True))]


def _places(
    shape: tuple[int, ...], frame: ndarray, step: ndarray
) -> tuple[tuple[slice, ...], tuple[slice, ...], tuple[slice, ...]]:
    """Where edges of one offset start that stay inside; the same places, and their ends, framed."""
    low = [max(0, -int(s)) for s in step]
    high = [max(a, n - max(0, int(s))) for a, n, s in zip(low, shape, step, strict=True)]
    inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    start = tuple(slice(f + a, f + b) for a, b, f in zip(low, high, frame, strict=True))
    end = tuple(slice(p.start + s, p.stop + s) for p, s in zip(start, step, strict=True))
    return inside, start, end


def _check_grid(
    source: ndarray, sink: ndarray, edges: ndarray, reverse: ndarray, steps: ndarray
) -> None:
    if source.shape != sink.shape or source.size == 0:
        raise ValueError(
            f"GridCut got source {source.shape} and sink {sink.shape}, "
            "expected one shape with at least one pixel"
        )
    if steps.shape[1] != source.ndim:
        raise ValueError(
            f"GridCut got offsets of {steps.shape[1]} axes for a grid of {source.ndim}: "
            "use FOUR or EIGHT for images, SIX for volumes"
        )
    if not 0 < len(steps) <= 60 or len({tuple(s) for s in (*steps, *-steps)}) != 2 * len(steps):
        raise ValueError(
            f"GridCut got offsets {steps.tolist()}: expected 1 to 60 that differ from each other, "
            "from their opposites and from zero"
        )
    if edges.shape != (len(steps), *source.shape) or reverse.shape != edges.shape:
        raise ValueError(
            f"GridCut got edges {edges.shape} and reverse {reverse.shape}, "
            f"expected {(len(steps), *source.shape)}"
        )
    _check_capacities(source=source, sink=sink, edges=edges, reverse=reverse)


def _check_sparse(
    source: ndarray, sink: ndarray, pairs: ndarray, capacities: ndarray, reverse: ndarray
) -> None:
    if source.shape != sink.shape or source.size == 0:
        raise ValueError(
            f"SparseCut got source {source.shape} and sink {sink.shape}, "
            "expected one length of at least 1"
        )
    if not len(pairs) == len(capacities) == len(reverse):
        raise ValueError(
            f"SparseCut got {len(pairs)} pairs, {len(capacities)} capacities and {len(reverse)} "
            "reverse ones, expected as many of each"
        )
    if pairs.size and not 0 <= pairs.min() <= pairs.max() < source.size:
        raise ValueError(
            f"SparseCut got pairs of nodes {pairs.min()}..{pairs.max()}, "
            f"expected 0..{source.size - 1}"
        )
    _check_capacities(source=source, sink=sink, capacities=capacities, reverse=reverse)


def _check_capacities(**arrays: ndarray) -> None:
    for name, values in arrays.items():
        if values.size == 0:
            continue
        least, most = values.min(), values.max()
        if not least >= 0:
            raise ValueError(
                f"got {name} with {least}: capacities are 0 or more (a negative terminal is a "
                "positive one of the other terminal; negative edges make another, harder problem)"
            )
        limit = 2**30 if np.issubdtype(values.dtype, np.integer) else 1e38
        if not most <= limit:
            raise ValueError(
                f"got {name} with {most}, expected at most {limit:.3g}: divide all by a common "
                "number"
            )


def _are_whole(*arrays: ndarray) -> bool:
    return all(np.issubdtype(a.dtype, np.integer) or a.dtype == np.bool_ for a in arrays)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _run_downhill(graph: _Graph, forest: _Forest, most_levels: int) -> bool:
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
def _arcs(width: int, firsts: ndarray, v: int) -> tuple[int, int]:
    """The number of a node's first arc, and how many it has."""
    if width > 0:
        return v * width, width
    return np.int64(firsts[v]), np.int64(firsts[v + 1] - firsts[v])


@numba.njit(cache=True, nogil=True)
@no_type_check
def _end(width: int, offsets: ndarray, ends: ndarray, v: int, first: int, d: int) -> int:
    """Where arc d of node v, whose first arc is `first`, leads."""
    if width > 0:
        return v + offsets[d]
    return np.int64(ends[first + d])


@numba.njit(cache=True, nogil=True)
@no_type_check
def _back(width: int, backs: ndarray, first: int, d: int) -> int:
    """The place of an arc's reverse among the arcs of its end."""
    if width > 0:
        return width - 1 - d
    return np.int64(backs[first + d])


@numba.njit(cache=True, nogil=True)
@no_type_check
def _start(width: int, firsts: ndarray, v: int) -> int:
    """The number of a node's first arc."""
    return v * width if width > 0 else np.int64(firsts[v])


@numba.njit(cache=True, nogil=True)
@no_type_check
def _plant(graph: _Graph, forest: _Forest) -> None:
    """Make every deficit a root, at height 0."""
    _residual, excess, _width, _offsets, _firsts, _ends, _backs = graph
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
def _grow(graph: _Graph, forest: _Forest) -> None:
    """Adopt all nodes that have room towards the highest level: they are the next level."""
    residual, excess, width, offsets, firsts, ends, backs = graph
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
        first, degree = _arcs(width, firsts, v)
        for d in range(degree):
            q = _end(width, offsets, ends, v, first, d)
            if height[q] >= 0:
                continue
            back = _back(width, backs, first, d)
            if residual[_start(width, firsts, q) + back] > 0:
                height[q] = here + _GENERATION
                parent[q] = back
                _join_rim(rim, state, q)
                if excess[q] > 0:
                    state[_TOP] = max(state[_TOP], _wait(height, waiting, heads, q))


@numba.njit(cache=True, nogil=True)
@no_type_check
def _push_down(graph: _Graph, forest: _Forest) -> int:
    """Push all excess down, from the highest nodes on; list nodes left without a parent."""
    residual, excess, width, offsets, firsts, ends, backs = graph
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
            first, degree = _arcs(width, firsts, v)
            for d in range(degree):
                room = residual[first + d]
                if room <= 0:
                    continue
                q = _end(width, offsets, ends, v, first, d)
                below = height[q]
                if below < 0 or below >= here:
                    continue
                if left <= 0:
                    support = d
                    break
                amount = min(left, excess.dtype.type(room))
                left -= amount
                residual[first + d] -= amount
                residual[_start(width, firsts, q) + _back(width, backs, first, d)] += amount
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
def _find_parents(graph: _Graph, forest: _Forest, orphans: int) -> int:
    """Give orphans parents without moving their children; list those for whom none is left.

    A neighbour below all children of a node is none of its descendants, so it may be its parent.
    """
    residual, excess, width, offsets, firsts, ends, backs = graph
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
        first, degree = _arcs(width, firsts, v)
        for d in range(degree):
            q = _end(width, offsets, ends, v, first, d)
            there = height[q]
            if there < 0:
                continue
            if parent[q] == _back(width, backs, first, d):
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
            q = _end(width, offsets, ends, v, first, d)
            if height[q] >= 0 and parent[q] == _back(width, backs, first, d):
                parent[q] = _ORPHAN
                queue[orphans] = q
                orphans += 1
    return cut_off


@numba.njit(cache=True, nogil=True)
@no_type_check
def _put_back(graph: _Graph, forest: _Forest, cut_off: int) -> None:
    """Grow the forest back over the nodes cut off, as far as its highest level."""
    residual, excess, width, offsets, firsts, ends, backs = graph
    height, parent, waiting, rim, queue, found, heads, seeds, state = forest
    limit = (state[_LEVEL] - 1) * _GENERATION
    low, high = _BUCKETS, -1
    following = queue
    for i in range(cut_off):
        v = np.int64(found[i])
        lowest = limit + 1
        first, degree = _arcs(width, firsts, v)
        for d in range(degree):
            there = height[_end(width, offsets, ends, v, first, d)]
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
                    p = _end(width, offsets, ends, v, _start(width, firsts, v), np.int64(parent[v]))
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
            first, degree = _arcs(width, firsts, v)
            for d in range(degree):
                q = _end(width, offsets, ends, v, first, d)
                if height[q] >= 0:
                    continue
                back = _back(width, backs, first, d)
                if residual[_start(width, firsts, q) + back] > 0:
                    height[q] = max(~height[q], here + _GENERATION)
                    parent[q] = back
                    found[count] = q
                    count += 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _reach(graph: _Graph, queue: ndarray, reached: ndarray) -> None:
    """Mark what the excess left over can reach."""
    residual, excess, width, offsets, firsts, ends, _backs = graph
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
        first, degree = _arcs(width, firsts, v)
        for d in range(degree):
            if residual[first + d] > 0:
                q = _end(width, offsets, ends, v, first, d)
                if not reached[q]:
                    reached[q] = True
                    queue[count] = q
                    count += 1
