from typing import Any

import numba
import numpy as np

from segscape.ops import lanes

LANES = lanes.LANES
# For numba they lack the first parameter that their definitions have.
load: Any = lanes.load
store: Any = lanes.store
spread: Any = lanes.spread
ramp: Any = lanes.ramp
across: Any = lanes.across
where_at_most: Any = lanes.where_at_most
larger: Any = lanes.larger
largest: Any = lanes.largest
whole: Any = lanes.whole
two_to: Any = lanes.two_to
prefetch: Any = lanes.prefetch


@numba.njit
def near_total(values, start, limit):
    x = load(values, start) - spread(np.float32(1))
    return across(where_at_most(x, x * x, spread(limit)))


@numba.njit
def add_ramp(values, start):
    store(values, start, load(values, start) + ramp())


@numba.njit
def quotient_to_whole_powers(values):
    prefetch(values, 2 * LANES)
    highest = largest(larger(load(values, 0), load(values, LANES)))
    store(values, 0, two_to(whole(load(values, 0) / load(values, LANES))))
    return highest


def test_a_sum_under_a_condition_is_numpys():
    values = np.random.default_rng(0).normal(1, 1, 3 * LANES).astype(np.float32)
    for start in range(2 * LANES):
        x = values[start : start + LANES] - 1
        expected = x[x * x <= 0.5].sum()
        assert np.isclose(near_total(values, start, np.float32(0.5)), expected, atol=1e-6)


def test_stores_write_their_lanes_and_no_others():
    values = np.zeros(LANES + 5, np.float32)
    add_ramp(values, 3)
    assert values.tolist() == [0, 0, 0, *range(LANES), 0, 0]


def test_nan_is_near_nothing():
    values = np.full(LANES, np.nan, np.float32)
    assert near_total(values, 0, np.float32(9)) == 0


def test_powers_quotients_and_the_largest_are_numpys():
    values = np.random.default_rng(1).uniform(-50, 50, 2 * LANES).astype(np.float32)
    expected = 2 ** np.floor(values[:LANES] / values[LANES:])
    highest = values.max()
    assert quotient_to_whole_powers(values) == highest
    np.testing.assert_array_equal(values[:LANES], expected.astype(np.float32))
