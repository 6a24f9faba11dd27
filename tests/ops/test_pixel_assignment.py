"""The sparse assignment against the dense one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from segscape.ops.pixel_assignment import assigned_pixels


def _least_cost(ours: np.ndarray, theirs: np.ndarray, radius: float, alone: float) -> float:
    a, b = np.argwhere(ours), np.argwhere(theirs)
    distance = np.sqrt(((a[:, None] - b) ** 2).sum(-1))
    cost = np.zeros((len(a) + len(b),) * 2)
    cost[: len(a), : len(b)] = np.where(distance <= radius, distance, 1e6)
    cost[: len(a), len(b) :] = cost[len(a) :, : len(b)] = alone
    return float(cost[linear_sum_assignment(cost)].sum())


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 99999),
    st.integers(1, 11),
    st.integers(1, 11),
    st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.3]),
    st.sampled_from([0.0, 0.3, 1.0, 2.0, 100.0]),
)
def test_the_cost_is_the_least(
    seed: int, height: int, width: int, radius: float, alone: float
) -> None:
    random = np.random.default_rng(seed)
    ours, theirs = random.random((2, height, width)) < random.random((2, 1, 1))
    pairs = assigned_pixels(ours, theirs, radius=radius, alone_cost=alone)
    assert ours.ravel()[pairs[:, 0]].all()
    assert theirs.ravel()[pairs[:, 1]].all()
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    here, there = (np.stack(np.divmod(pairs[:, side], width)) for side in (0, 1))
    distance = np.sqrt(((here - there) ** 2).sum(0))
    assert (distance <= radius).all()
    cost = distance.sum() + alone * (ours.sum() + theirs.sum() - 2 * len(pairs))
    assert cost == pytest.approx(_least_cost(ours, theirs, radius, alone), abs=0.05)


def test_a_whole_line_shifts_to_make_room_for_one_more() -> None:
    # Greedy pairs would leave the first and the last pixel alone.
    ours, theirs = np.zeros((2, 1, 40), np.bool_)
    ours[0, :30], theirs[0, 1:31] = True, True
    pairs = assigned_pixels(ours, theirs, radius=1.0, alone_cost=100.0)
    assert pairs.tolist() == [[k, k + 1] for k in range(30)]


def test_wrong_input_is_refused() -> None:
    mask = np.zeros((2, 2), np.bool_)
    with pytest.raises(ValueError, match="give them one size"):
        assigned_pixels(mask, mask[:1], radius=1.0, alone_cost=1.0)
    with pytest.raises(ValueError, match="must be 0 or more"):
        assigned_pixels(mask, mask, radius=-1.0, alone_cost=1.0)
