import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_flow

from segscape.ops.max_flow import EIGHT, FOUR, SIX, GridCut


def pairs_of(shape, offsets):
    """All (offset index, start, end) inside the grid."""
    for k, step in enumerate(offsets):
        for start in np.ndindex(*shape):
            end = tuple(a + b for a, b in zip(start, step, strict=True))
            if all(0 <= e < n for e, n in zip(end, shape, strict=True)):
                yield k, start, end


def cut_value(side, source, sink, edges, reverse, offsets):
    value = source[~side].sum(dtype=float) + sink[side].sum(dtype=float)
    for k, p, q in pairs_of(side.shape, offsets):
        if side[p] and not side[q]:
            value += float(edges[k][p])
        if side[q] and not side[p]:
            value += float(reverse[k][p])
    return value


def scipy_flow(source, sink, edges, reverse, offsets):
    ids = np.arange(source.size).reshape(source.shape)
    s, t = source.size, source.size + 1
    rows = [*[s] * source.size, *ids.ravel()]
    columns = [*ids.ravel(), *[t] * source.size]
    values = [*source.ravel(), *sink.ravel()]
    for k, p, q in pairs_of(source.shape, offsets):
        rows += [ids[p], ids[q]]
        columns += [ids[q], ids[p]]
        values += [edges[k][p], reverse[k][p]]
    shape = (source.size + 2,) * 2
    graph = coo_array((np.array(values, np.int32), (rows, columns)), shape).tocsr()
    return maximum_flow(graph, s, t).flow_value


def random_cut(seed, shape, offsets, most=9):
    rng = np.random.default_rng(seed)
    source, sink = rng.integers(0, most + 1, (2, *shape))
    edges, reverse = rng.integers(0, most + 1, (2, len(offsets), *shape)) // 2
    source[rng.random(shape) < 0.4] = 0
    sink[rng.random(shape) < 0.4] = 0
    return source, sink, edges, reverse


@pytest.mark.parametrize(
    ("shape", "offsets"), [((3, 4), FOUR), ((3, 4), EIGHT), ((2, 3, 2), SIX), ((1, 9), EIGHT)]
)
def test_the_least_of_all_labellings_and_the_smallest_source_side(shape, offsets):
    for seed in range(3):
        capacities = random_cut(seed, shape, offsets)
        cut = GridCut(*capacities, offsets=offsets)
        flow = cut.solve()
        sides = [
            np.array(bits).reshape(shape)
            for bits in itertools.product([False, True], repeat=int(np.prod(shape)))
        ]
        values = [cut_value(side, *capacities, offsets) for side in sides]
        assert flow == min(values)
        best = [side for side, value in zip(sides, values, strict=True) if value == flow]
        assert (cut.source_side == np.logical_and.reduce(best)).all()


@pytest.mark.parametrize(
    ("shape", "offsets"), [((17, 23), FOUR), ((17, 23), EIGHT), ((7, 6, 8), SIX)]
)
@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_scipys_flow(shape, offsets, dtype):
    for seed in range(5):
        capacities = random_cut(seed, shape, offsets, most=100)
        cut = GridCut(*(c.astype(dtype) for c in capacities), offsets=offsets)
        assert cut.solve() == scipy_flow(*capacities, offsets)


@given(seed=st.integers(0, 10**6), height=st.integers(1, 8), width=st.integers(1, 8))
def test_flow_is_the_cuts_value_and_warm_is_cold(seed, height, width):
    shape = (height, width)
    source, sink, edges, reverse = random_cut(seed, shape, EIGHT)
    cut = GridCut(source, sink, edges, reverse)
    flow = cut.solve()
    assert flow == cut_value(cut.source_side, source, sink, edges, reverse, EIGHT)
    later_source, later_sink, _, _ = random_cut(seed + 1, shape, EIGHT)
    cut.add_terminals(later_source - source, later_sink - sink)
    cold = GridCut(later_source, later_sink, edges, reverse)
    assert cut.solve() == cold.solve()
    assert (cut.source_side == cold.source_side).all()
