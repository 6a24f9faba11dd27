import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segscape.ops.label_moves import labelling_energy, move, move_space
from segscape.ops.sparse_cut import graph_arcs


def random_energy(seed, nodes=7, labels=3):
    rng = np.random.default_rng(seed)
    pairs = np.array(list(itertools.combinations(range(nodes), 2)), np.int32)
    pairs = pairs[rng.random(len(pairs)) < 0.4]
    arcs = graph_arcs(nodes, pairs, rng.integers(0, 4, len(pairs)).astype(np.float32))
    unary = rng.integers(-5, 6, (labels, nodes)).astype(np.float32)
    places = rng.integers(0, 5, labels)
    costs = np.abs(places[:, None] - places).astype(np.float32)
    return unary, arcs, costs, rng.integers(0, labels, nodes).astype(np.int32)


def choices(labels, low, high):
    """All labellings that one move can lead to."""
    options = []
    for label in labels:
        if low < 0:
            options.append({label, high})
        else:
            options.append({low, high} if label in (low, high) else {label})
    return (np.array(choice, np.int32) for choice in itertools.product(*options))


@given(st.integers(0, 10**6), st.sampled_from([(-1, 0), (-1, 2), (0, 1), (1, 2)]))
def test_a_move_is_the_best_of_all_its_choices(seed, kind):
    unary, arcs, costs, labels = random_energy(seed)
    space = move_space(unary, arcs, costs, labels)
    before = labelling_energy(unary, arcs, costs, labels)
    gain = move(space, kind[0], kind[1], 1, -1)
    best = min(labelling_energy(unary, arcs, costs, c) for c in choices(labels, kind[0], kind[1]))
    assert labelling_energy(unary, arcs, costs, space.labels) == pytest.approx(best)
    assert before + gain == pytest.approx(best)


@given(st.integers(0, 10**6))
def test_what_is_not_looked_at_again_would_not_have_changed(seed):
    unary, arcs, costs, labels = random_energy(seed, nodes=20, labels=4)
    lazy, eager = (move_space(unary, arcs, costs, labels) for _ in range(2))
    last = [-1] * 4
    for number in range(1, 16):
        label = number % 4
        gains = move(lazy, -1, label, number, last[label]), move(eager, -1, label, number, -1)
        last[label] = number
        assert gains[0] == gains[1]
        assert (lazy.labels == eager.labels).all()


def test_the_given_labels_are_not_written_to():
    unary, arcs, costs, labels = random_energy(1)
    kept = labels.copy()
    move(move_space(unary, arcs, costs, labels), -1, 0, 1, -1)
    assert (labels == kept).all()
