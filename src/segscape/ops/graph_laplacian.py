"""Linear systems of graph Laplacians with some nodes tied to the ground, solved by multigrid.

Conjugate gradients, preconditioned by a cycle over graphs that grow smaller: each joins a node with
the neighbour it is tied to most. Aggregation by strength after Y. Notay: An aggregation-based
algebraic multigrid method, ETNA 37 (2010); that graphs of images ask for it, as their weights span
many orders, is shown by I. Koutis, G. L. Miller, D. Tolliver: Combinatorial preconditioners and
multilevel solvers for problems in computer vision and image processing, CVIU 2011,
doi:10.1016/j.cviu.2011.05.013.
"""

from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Float, Float32, Float64, Int32
from numpy import ndarray

# A level this small is solved directly; groups hold so many nodes at most.
_SMALL, _GROUP = 200, 4
# A node whose ties to the ground are this share of all its ties needs no coarser level.
_GROUNDED = 0.8
_MOST_ITERATIONS = 500


class Laplacian(NamedTuple):
    """The matrix D - W of a graph: row i holds -weights and, on the diagonal, the sum of all ties.

    The diagonal is not stored: what ties a node to the ground would drown in the rounding of it.

    Args:
        starts: where the neighbours of each node begin in `neighbors`; one more at the end.
        neighbors: node ids.
        weights: of the ties to them, above 0 and the same in both directions.
        ground: how much each node is tied to the ground; 0 or more.
    """

    starts: Int32[ndarray, " node_and_1"]
    neighbors: Int32[ndarray, " tie"]
    weights: Float32[ndarray, " tie"]
    ground: Float32[ndarray, " node"]


class Levels(NamedTuple):
    """A system made ready to be solved for many right hand sides.

    Args:
        graphs: the finest first.
        diagonals: of their matrices.
        parents: for each but the coarsest, the coarser node of each node, or -1 without one.
        inverse: of the coarsest; empty where that is too large, and only smoothed.
    """

    graphs: tuple[Laplacian, ...]
    diagonals: tuple[Float32[ndarray, " _"], ...]
    parents: tuple[Int32[ndarray, " _"], ...]
    inverse: Float32[ndarray, "coarsest coarsest"]


def build_levels(graph: Laplacian) -> Levels:
    """Coarsen a graph, again and again.

    Every piece of the graph must be tied to the ground somewhere, or the system has no solution.

    >>> graph = Laplacian(
    ...     np.array([0, 1, 2], np.int32), np.array([1, 0], np.int32),
    ...     np.ones(2, np.float32), np.array([1, 0], np.float32),
    ... )
    >>> solve(build_levels(graph), np.array([1.0, 0.0])).round(6).tolist()
    [1.0, 1.0]
    """
    graphs, diagonals, parents = [graph], [_diagonal(*graph)], list[ndarray]()
    while graphs[-1].ground.size > _SMALL:
        parent, count = _group(*graphs[-1])
        if count > 0.9 * parent.size or count == 0:
            break
        parents.append(parent)
        graphs.append(Laplacian(*_coarsen(*graphs[-1], parent, count)))
        diagonals.append(_diagonal(*graphs[-1]))
    inverse = _inverse(graphs[-1], diagonals[-1])
    return Levels(tuple(graphs), tuple(diagonals), tuple(parents), inverse)


def solve(
    levels: Levels, right: Float64[ndarray, " node"], *, tolerance: float = 1e-6
) -> Float64[ndarray, " node"]:
    """Solve (D - W) x = right.

    Args:
        levels: of `build_levels`.
        right: what flows into each node.
        tolerance: of the residual's length, as a share of that of `right`.
    """
    x = np.zeros(right.size)
    residual = right.astype(np.float64)
    wanted = tolerance * float(np.linalg.norm(right))
    direction, flow = np.zeros(right.size), np.empty(right.size)
    before = 1.0
    for _ in range(_MOST_ITERATIONS):
        if float(np.linalg.norm(residual)) <= wanted:
            break
        step = _cycle(levels, 0, residual.astype(np.float32)).astype(np.float64)
        now = float(residual @ step)
        direction *= now / before
        direction += step
        _multiply(*levels.graphs[0], direction, flow)
        length = now / float(direction @ flow)
        x += length * direction
        residual -= length * flow
        before = now
    return x


def _cycle(levels: Levels, level: int, right: Float32[ndarray, " _"]) -> Float32[ndarray, " _"]:
    """Approximate the solution; linear and symmetric in `right`."""
    graph, diagonal = levels.graphs[level], levels.diagonals[level]
    coarsest = level == len(levels.graphs) - 1
    if coarsest and levels.inverse.size:
        return levels.inverse @ right
    x = np.empty_like(right)
    _smooth_first(*graph[:3], diagonal, right, x)
    if not coarsest:
        coarse = levels.graphs[level + 1]
        rest = np.zeros(coarse.ground.size, np.float32)
        _restrict(*graph, right, x, levels.parents[level], rest)
        found = _cycle(levels, level + 1, rest)
        # Twice on all coarser levels but the largest of them: nearly the effect, half the time.
        if 0 < level < len(levels.graphs) - 2:
            product = np.empty_like(found)
            _multiply(*coarse, found, product)
            rest -= product
            found = found + _cycle(levels, level + 1, rest)
        _prolong(x, levels.parents[level], found)
    _smooth_back(*graph[:3], diagonal, right, x)
    return x


def _inverse(
    graph: Laplacian, diagonal: Float32[ndarray, " node"]
) -> Float32[ndarray, "coarsest coarsest"]:
    size = diagonal.size
    if size > 4 * _SMALL:
        return np.zeros((0, 0), np.float32)
    matrix = np.diag(graph.ground).astype(np.float64)
    rows = np.repeat(np.arange(size), np.diff(graph.starts))
    matrix[rows, graph.neighbors] -= graph.weights
    np.add.at(matrix, (rows, rows), graph.weights)
    return np.linalg.inv(matrix).astype(np.float32)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _diagonal(
    starts: Int32[ndarray, " node_and_1"],
    neighbors: Int32[ndarray, " tie"],  # as all kernels take a graph
    weights: Float32[ndarray, " tie"],
    ground: Float32[ndarray, " node"],
) -> Float32[ndarray, " node"]:
    diagonal = ground.copy()
    for i in range(diagonal.size):
        for place in range(starts[i], starts[i + 1]):
            diagonal[i] += weights[place]
    return diagonal


@numba.njit(cache=True, nogil=True)
@no_type_check
def _group(
    starts: Int32[ndarray, " node_and_1"],
    neighbors: Int32[ndarray, " tie"],
    weights: Float32[ndarray, " tie"],
    ground: Float32[ndarray, " node"],
) -> tuple[Int32[ndarray, " node"], int]:
    """Put each node with the neighbour it is tied to most, if that one's group has room."""
    parents = np.full(ground.size, -1, np.int32)
    sizes = np.zeros(ground.size, np.int32)
    count = 0
    for i in range(ground.size):
        if parents[i] >= 0:
            continue
        ties = np.float32(0)
        strongest = np.float32(0)
        best = np.float32(0)
        chosen = -1
        for place in range(starts[i], starts[i + 1]):
            j, weight = neighbors[place], weights[place]
            ties += weight
            strongest = max(strongest, weight)
            if weight > best and (parents[j] < 0 or sizes[parents[j]] < _GROUP):
                best, chosen = weight, j
        if ties <= np.float32(1 - _GROUNDED) * (ties + ground[i]):
            continue
        if chosen < 0 or best < np.float32(0.1) * strongest:
            parents[i] = count
            sizes[count] = 1
            count += 1
        elif parents[chosen] < 0:
            parents[i] = parents[chosen] = count
            sizes[count] = 2
            count += 1
        else:
            parents[i] = parents[chosen]
            sizes[parents[i]] += 1
    return parents, count


@numba.njit(cache=True, nogil=True)
@no_type_check
def _coarsen(
    starts: Int32[ndarray, " node_and_1"],
    neighbors: Int32[ndarray, " tie"],
    weights: Float32[ndarray, " tie"],
    ground: Float32[ndarray, " node"],
    parents: Int32[ndarray, " node"],
    count: int,
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Sum the ties of all nodes of a group; those to nodes without a group lead to the ground."""
    begins = np.zeros(count + 1, np.int32)
    for i in range(ground.size):
        if parents[i] >= 0:
            begins[parents[i] + 1] += 1
    for group in range(count):
        begins[group + 1] += begins[group]
    members, filled = np.empty(begins[count], np.int32), begins[:-1].copy()
    for i in range(ground.size):
        if parents[i] >= 0:
            members[filled[parents[i]]] = i
            filled[parents[i]] += 1
    new_starts = np.zeros(count + 1, np.int32)
    new_neighbors = np.empty(neighbors.size, np.int32)
    new_weights = np.empty(neighbors.size, np.float32)
    new_ground = np.zeros(count, np.float32)
    seen = np.full(count, -1, np.int32)
    end = 0
    for group in range(count):
        own = 0.0
        for place in range(begins[group], begins[group + 1]):
            i = members[place]
            own += ground[i]
            for tie in range(starts[i], starts[i + 1]):
                other = parents[neighbors[tie]]
                if other < 0:
                    own += weights[tie]
                elif other != group:
                    if seen[other] < new_starts[group]:
                        seen[other] = end
                        new_neighbors[end] = other
                        new_weights[end] = 0
                        end += 1
                    new_weights[seen[other]] += weights[tie]
        new_ground[group] = own
        new_starts[group + 1] = end
    return new_starts, new_neighbors[:end].copy(), new_weights[:end].copy(), new_ground


@numba.njit(cache=True, nogil=True)
@no_type_check
def _smooth_first(
    starts: Int32[ndarray, " node_and_1"],
    neighbors: Int32[ndarray, " tie"],
    weights: Float32[ndarray, " tie"],
    diagonal: Float32[ndarray, " node"],
    right: Float32[ndarray, " node"],
    x: Float32[ndarray, " node"],
) -> None:
    """Gauss and Seidel from the first node to the last, begun at 0."""
    for i in range(diagonal.size):
        total = right[i]
        for place in range(starts[i], starts[i + 1]):
            if neighbors[place] < i:
                total += weights[place] * x[neighbors[place]]
        x[i] = total / diagonal[i]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _smooth_back(
    starts: Int32[ndarray, " node_and_1"],
    neighbors: Int32[ndarray, " tie"],
    weights: Float32[ndarray, " tie"],
    diagonal: Float32[ndarray, " node"],
    right: Float32[ndarray, " node"],
    x: Float32[ndarray, " node"],
) -> None:
    """Gauss and Seidel from the last node to the first."""
    for i in range(diagonal.size - 1, -1, -1):
        total = right[i]
        for place in range(starts[i], starts[i + 1]):
            total += weights[place] * x[neighbors[place]]
        x[i] = total / diagonal[i]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _restrict(
    starts: Int32[ndarray, " node_and_1"],
    neighbors: Int32[ndarray, " tie"],
    weights: Float32[ndarray, " tie"],
    ground: Float32[ndarray, " node"],
    right: Float32[ndarray, " node"],
    x: Float32[ndarray, " node"],
    parents: Int32[ndarray, " node"],
    rest: Float32[ndarray, " group"],
) -> None:
    """Add up the residuals of each group's nodes."""
    for i in range(ground.size):
        if parents[i] >= 0:
            total = right[i] - ground[i] * x[i]
            for place in range(starts[i], starts[i + 1]):
                total += weights[place] * (x[neighbors[place]] - x[i])
            rest[parents[i]] += total


@numba.njit(cache=True, nogil=True)
@no_type_check
def _prolong(
    x: Float32[ndarray, " node"],
    parents: Int32[ndarray, " node"],
    found: Float32[ndarray, " group"],
) -> None:
    for i in range(x.size):
        if parents[i] >= 0:
            x[i] += found[parents[i]]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _multiply(
    starts: Int32[ndarray, " node_and_1"],
    neighbors: Int32[ndarray, " tie"],
    weights: Float32[ndarray, " tie"],
    ground: Float32[ndarray, " node"],
    x: Float[ndarray, " node"],
    product: Float[ndarray, " node"],
) -> None:
    for i in range(ground.size):
        total = ground[i] * x[i]
        for place in range(starts[i], starts[i + 1]):
            total += weights[place] * (x[i] - x[neighbors[place]])
        product[i] = total
