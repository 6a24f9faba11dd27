import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segscape.ops.region_merging import merge_by_mean, merge_by_ncut


def drawn(nodes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A sparse random graph: weights between nodes, and within each."""
    generator = np.random.default_rng(seed)
    upper = np.triu(generator.random((nodes, nodes)) * (generator.random((nodes, nodes)) < 0.3), 1)
    return upper + upper.T, generator.random(nodes) + 0.1


def same_groups(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one[:, None] == one, other[:, None] == other)


def greedily(edges, nodes, price):
    """All joints by trying each edge at each step; yields the groups and the price."""
    groups = np.arange(nodes)
    while True:
        best = min(
            (
                (price(groups, a, b), groups[a], groups[b])
                for a, b in edges
                if groups[a] != groups[b]
            ),
            default=None,
        )
        if best is None:
            return
        groups = np.where(groups == best[2], best[1], groups)
        yield groups, best[0]


@given(nodes=st.integers(1, 14), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_joins_whichever_two_keep_the_ncut_least(nodes, seed):
    between, within = drawn(nodes, seed)
    matrix = between + np.diag(within)
    edges = np.argwhere(np.triu(between) > 0)
    tree = merge_by_ncut(edges, between[edges[:, 0], edges[:, 1]], matrix.sum(1), within)

    def total(groups):
        return sum(
            1 - matrix[np.ix_(groups == g, groups == g)].sum() / matrix[groups == g].sum()
            for g in np.unique(groups)
        )

    def price(groups, a, b):
        return total(np.where(groups == groups[b], groups[a], groups)) - total(groups) + 1

    steps = 0
    for i, (groups, cost) in enumerate(greedily(edges, nodes, price)):
        np.testing.assert_allclose(tree.costs[i], cost, atol=1e-9)
        assert same_groups(tree.groups(nodes - i - 1), groups)
        steps += 1
    assert len(tree.costs) == steps
    assert tree.groups(nodes).tolist() == list(range(nodes))


@given(nodes=st.integers(1, 14), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_joins_across_the_weakest_boundary(nodes, seed):
    totals, _ = drawn(nodes, seed)
    lengths = np.ceil(3 * np.roll(totals, 1, 0)) + 1
    lengths = np.maximum(lengths, lengths.T)
    edges = np.argwhere(np.triu(totals) > 0)
    at = edges[:, 0], edges[:, 1]
    tree = merge_by_mean(edges, totals[at], lengths[at], nodes)

    def price(groups, a, b):
        one, other = groups[edges[:, 0]], groups[edges[:, 1]]
        here = ((one == groups[a]) & (other == groups[b])) | (
            (one == groups[b]) & (other == groups[a])
        )
        return totals[at][here].sum() / lengths[at][here].sum()

    for i, (groups, cost) in enumerate(greedily(edges, nodes, price)):
        np.testing.assert_allclose(tree.costs[i], cost, atol=1e-9)
        assert same_groups(tree.groups(nodes - i - 1), groups)


def test_parts_without_edges_stay_apart():
    tree = merge_by_mean(np.array([[0, 1]]), np.ones(1), np.ones(1), 3)
    assert tree.groups(1).tolist() == [0, 0, 1]
