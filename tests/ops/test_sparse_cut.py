import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segscape.ops.sparse_cut import SOURCE, cut_nodes, cut_space, graph_arcs, grid_arcs


def edges_of(arcs):
    tails = np.repeat(np.arange(len(arcs.start) - 1), np.diff(arcs.start))
    return sorted(zip(tails.tolist(), arcs.head.tolist(), arcs.weight.tolist(), strict=True))


def test_arcs_of_a_grid_are_those_of_its_pairs_of_neighbours():
    weights = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    arcs = grid_arcs(weights, ((0, 1), (1, -1), (1, 0), (1, 1)))
    expected = []
    for k, (dy, dx) in enumerate(((0, 1), (1, -1), (1, 0), (1, 1))):
        for y, x in np.ndindex(2, 3):
            if y + dy < 2 and 0 <= x + dx < 3 and weights[k, y, x] > 0:
                p, q, w = 3 * y + x, 3 * (y + dy) + x + dx, float(weights[k, y, x])
                expected += [(p, q, w), (q, p, w)]
    assert edges_of(arcs) == sorted(expected)
    assert (arcs.mate[arcs.mate] == np.arange(len(arcs.mate))).all()


def test_edges_without_weight_and_loops_are_left_out():
    edges = np.array([[0, 1], [1, 1], [2, 1]], np.int32)
    assert edges_of(graph_arcs(4, edges, np.array([0, 5, 2], np.float32))) == [
        (1, 2, 2.0),
        (2, 1, 2.0),
    ]


def value(side, excess, arcs, residual):
    total = np.maximum(excess, 0)[~side].sum() + np.maximum(-excess, 0)[side].sum()
    tails = np.repeat(np.arange(len(excess)), np.diff(arcs.start))
    return total + residual[side[tails] & ~side[arcs.head]].sum()


@given(st.integers(0, 10**6))
def test_the_smallest_source_side_of_all_least_cuts(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 8))
    pairs = np.array(list(itertools.combinations(range(count), 2)), np.int32).reshape(-1, 2)
    pairs = pairs[rng.random(len(pairs)) < 0.6]
    arcs = graph_arcs(count, pairs, np.ones(len(pairs), np.float32))
    capacities = rng.integers(0, 6, len(arcs.head)).astype(float)
    excess = rng.integers(-6, 7, count).astype(float)
    space = cut_space(arcs)
    for _ in range(2):  # what one cut leaves behind must not disturb the next
        space.residual[:] = capacities
        space.excess[:] = excess
        cut_nodes(np.arange(count, dtype=np.int32), arcs, space)
        found = space.tree == SOURCE
        sides = [np.array(side, bool) for side in itertools.product((0, 1), repeat=count)]
        values = np.array([value(side, excess, arcs, capacities) for side in sides])
        least = [side for side, v in zip(sides, values, strict=True) if v == values.min()]
        assert found.tolist() == np.logical_and.reduce(least).tolist()
