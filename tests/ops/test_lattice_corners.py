import numpy as np

from segscape.ops.lattice_corners import gather_lists, number_in_turn


def test_numbers_get_rows_in_the_order_in_which_they_are_met():
    """More of them than the table has room for at first."""
    random = np.random.default_rng(0)
    numbers = random.integers(-(2**62), 2**62, 9000)[random.integers(0, 9000, 20000)]
    numbers[1::3] = numbers[:-1:3][: len(numbers[1::3])]
    rows = np.empty(len(numbers), np.int32)
    known, slots = number_in_turn(numbers, 1, rows)
    _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(known, numbers[np.sort(first)])
    np.testing.assert_array_equal(rows, np.argsort(np.argsort(first))[place])
    assert sorted(slots[slots >= 0]) == list(range(len(known)))


def test_lists_hold_each_point_once_for_each_of_its_corners():
    rows = np.array([[0, 2], [2, 1], [2, 0]], np.int32)
    shares = np.array([[0.5, 0.5], [0.25, 0.75], [1, 0]], np.float32)
    begins, points, portions = gather_lists(rows, shares, 3)
    assert begins.tolist() == [0, 2, 3, 6]
    assert points.tolist() == [0, 2, 1, 0, 1, 2]
    assert portions.tolist() == [0.5, 0, 0.75, 0.5, 0.25, 1]
