import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_flow

from segscape.ops import max_flow
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


def test_floats_of_any_scale():
    source, sink, edges, reverse = [c * 0.1 for c in random_cut(1, (9, 9), EIGHT)]
    source[0, 0] = 1e9
    cut = GridCut(source, sink, edges, reverse)
    flow = cut.solve()
    value = cut_value(cut.source_side, source, sink, edges, reverse, EIGHT)
    assert flow == pytest.approx(value, rel=1e-6)
    assert flow < 1000


def test_more_offsets_than_neighbours():
    offsets = ((0, 1), (1, 0), (2, 1), (1, -2))
    capacities = random_cut(3, (8, 7), offsets)
    assert GridCut(*capacities, offsets=offsets).solve() == scipy_flow(*capacities, offsets)


def test_terminals_below_zero_reward():
    cut = GridCut(np.array([[1]]), np.array([[3]]), np.zeros((4, 1, 1), int))
    assert cut.solve() == 1
    cut.add_terminals(np.array([[-5]]), np.array([[0]]))
    assert cut.solve() == -4
    assert not cut.source_side.any()


def test_heights_that_run_out_start_again(monkeypatch):
    capacities = random_cut(5, (6, 40), FOUR)
    flow = GridCut(*capacities, offsets=FOUR).solve()
    levels = iter((1, 2, 3))
    run = max_flow.run_downhill

    def stopped_early(graph, forest, most_levels):
        return run(graph, forest, next(levels, most_levels))

    monkeypatch.setattr(max_flow, "run_downhill", stopped_early)
    assert GridCut(*capacities, offsets=FOUR).solve() == flow


def test_nothing_to_cut():
    cut = GridCut(np.zeros((2, 3)), np.zeros((2, 3)), np.ones((4, 2, 3)))
    assert cut.solve() == 0
    assert not cut.source_side.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": -np.ones((2, 3))}, "got source with -1.0: capacities are 0 or more"),
        ({"edges": np.full((4, 2, 3), np.nan)}, "got edges with nan"),
        ({"sink": np.full((2, 3), np.inf)}, "got sink with inf, expected at most"),
        ({"edges": np.full((4, 2, 3), 2**30)}, "divide all by a common number"),
        ({"sink": np.ones((2, 3), object)}, "got sink of object, expected integers or floats"),
        ({"edges": np.ones((2, 2, 3))}, r"expected \(4, 2, 3\)"),
        ({"offsets": SIX}, "use FOUR or EIGHT for images"),
        ({"offsets": ((0, 1), (0, -1), (1, 0), (1, 1))}, "differ from each other"),
    ],
)
def test_what_is_refused(change, message):
    parts: dict[str, Any] = {
        "source": np.ones((2, 3)),
        "sink": np.ones((2, 3)),
        "edges": np.ones((4, 2, 3)),
        **change,
    }
    with pytest.raises(ValueError, match=message):
        GridCut(**parts)


def test_what_edits_refuse():
    cut = GridCut(np.ones((1, 2), int), np.ones((1, 2), int), np.ones((4, 1, 2), int))
    with pytest.raises(ValueError, match="for a cut of integers: round it"):
        cut.add_terminals(np.ones((1, 2)), np.ones((1, 2)))
    with pytest.raises(ValueError, match="got source beyond 1,073,741,823"):
        cut.add_terminals(np.full((1, 2), 2**62), np.ones((1, 2), int))
    with pytest.raises(ValueError, match=r"expected .1, 2."):
        cut.add_terminals(np.ones((2, 2), int), np.ones((2, 2), int))


def test_the_largest_integers_flow_both_ways_without_overflow():
    most = 2**30 - 1
    source, sink = np.array([[most, 0]]), np.array([[0, most]])
    cut = GridCut(source, sink, np.array([[[most, 0]]]), offsets=((0, 1),))
    assert cut.solve() == most
    cut.add_terminals(sink, source)
    cut.add_terminals(sink, source)
    # Each pixel may take from either terminal: the first 3, 1 and 2; the second 2, 3 and 1.
    assert cut.solve() == 3 * most
