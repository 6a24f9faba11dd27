"""The corners of a permutohedral lattice around some points; the paper is in `permutohedral.py`."""

from functools import lru_cache
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Int32, Int64

_BLOCK = 64


@lru_cache(maxsize=16)
def axis_steps(dimensions: int) -> tuple[int, ...]:
    """How a corner's number changes by a step along each of the d + 1 axes; their sum is 0.

    A step along axis a adds 1 to all coordinates and takes d + 1 from coordinate a.
    """
    factors = [int(x) for x in axis_factors(dimensions)]
    total = sum(factors)
    steps = [total - (dimensions + 1) * factor for factor in factors] + [total]
    return tuple(_wrapped(step) for step in steps)


def _wrapped(number: int) -> int:
    """The number modulo 2^64, in -2^63 .. 2^63 - 1."""
    return (number + 2**63) % 2**64 - 2**63


def axis_factors(dimensions: int) -> Int64[np.ndarray, "dimension"]:
    """What each coordinate is multiplied by in a corner's number: odd, otherwise arbitrary."""
    draws = np.random.default_rng(1210_5644).integers(-(2**62), 2**62, dimensions)
    return 2 * draws + 1


def axis_scales(dimensions: int) -> Float32[np.ndarray, "dimension"]:
    """What features are multiplied by before they are laid onto the plane of the lattice.

    The lattice's blur has a variance of 2 (d + 1)^2 / 3 (sec. 3.1).
    """
    index = np.arange(dimensions)
    scales = (dimensions + 1) * np.sqrt(2 / 3) / np.sqrt((index + 1) * (index + 2))
    return scales.astype(np.float32)


# The shape checker of the tests must not wrap what numba compiles.
@numba.njit(cache=True, nogil=True)
@no_type_check
def enclose(
    points: Float32[np.ndarray, "dimension point"],
    scales: Float32[np.ndarray, "dimension"],
    factors: Int64[np.ndarray, "dimension"],
    steps: Int64[np.ndarray, "corner"],
    numbers: Int64[np.ndarray, "point corner"],
    shares: Float32[np.ndarray, "point corner"],
    start: int,
    stop: int,
) -> None:
    """Find the simplex around each point (sec. 3.2): its corners' numbers, and their shares."""
    dimensions = points.shape[0]
    corners = dimensions + 1
    whole = np.float32(corners)
    inverse = np.float32(1) / whole
    raised = np.empty((corners, _BLOCK), np.float32)
    nearest = np.empty((corners, _BLOCK), np.float32)
    rank = np.empty((corners, _BLOCK), np.int32)
    total = np.empty(_BLOCK, np.float32)
    base = np.empty(_BLOCK, np.int64)
    by_rank = np.empty(corners, np.float32)
    axis_at = np.empty(corners, np.int32)
    for first in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - first)
        for p in range(size):
            total[p] = 0
        for d in range(dimensions, 0, -1):
            for p in range(size):
                scaled = points[d - 1, first + p] * scales[d - 1]
                raised[d, p] = total[p] - np.float32(d) * scaled
                total[p] += scaled
        for p in range(size):
            raised[0, p] = total[p]
            total[p] = 0
        # The nearest point whose coordinates are multiples of d + 1; their sum may not be 0.
        for d in range(corners):
            for p in range(size):
                multiple = np.floor(raised[d, p] * inverse + np.float32(0.5))
                total[p] += multiple
                nearest[d, p] = multiple * whole
                raised[d, p] -= nearest[d, p]
        for d in range(corners):
            for p in range(size):
                rank[d, p] = np.int32(total[p])
        for one in range(corners):
            for other in range(one + 1, corners):
                for p in range(size):
                    less = np.int32(raised[one, p] < raised[other, p])
                    rank[one, p] += less
                    rank[other, p] += np.int32(1) - less
        for p in range(size):
            base[p] = 0
        for d in range(corners):
            for p in range(size):
                turn = np.int32(rank[d, p] < 0) - np.int32(rank[d, p] > dimensions)
                rank[d, p] += turn * np.int32(corners)
                shift = np.float32(turn) * whole
                nearest[d, p] += shift
                raised[d, p] = (raised[d, p] - shift) * inverse
        for d in range(dimensions):
            for p in range(size):
                base[p] += np.int64(nearest[d, p]) * factors[d]
        for p in range(size):
            for d in range(corners):
                by_rank[rank[d, p]] = raised[d, p]
                axis_at[rank[d, p]] = d
            number = base[p]
            numbers[first + p, 0] = number
            shares[first + p, 0] = np.float32(1) + by_rank[dimensions] - by_rank[0]
            for corner in range(1, corners):
                number += steps[axis_at[corners - corner]]
                numbers[first + p, corner] = number
                shares[first + p, corner] = by_rank[dimensions - corner] - by_rank[corners - corner]


@numba.njit(cache=True, nogil=True, inline="always")
@no_type_check
def _slot(number: int, known: Int64[np.ndarray, "corner"], slots: Int32[np.ndarray, "slot"]) -> int:
    """Where a number is in the table, or the free slot where it would be."""
    mask = len(slots) - 1
    slot = (number ^ (number >> 32)) & mask
    while slots[slot] >= 0 and known[slots[slot]] != number:
        slot = (slot + 1) & mask
    return slot


@numba.njit(cache=True, nogil=True)
@no_type_check
def number_in_turn(
    numbers: Int64[np.ndarray, "place"], repeat: int, rows: Int32[np.ndarray, "place"]
) -> tuple[Int64[np.ndarray, "corner"], Int32[np.ndarray, "slot"]]:
    """Give distinct numbers rows 0, 1, 2 ... in the order in which they are met.

    Args:
        numbers: any.
        repeat: how many places before it the same number is often found.
        rows: written: of each number.

    Returns:
        The distinct numbers, and a table that finds their rows.
    """
    size = 1 << 12
    while size * repeat < len(numbers):
        size *= 2
    slots = np.full(size, -1, np.int32)
    known = np.empty(size // 2, np.int64)
    count = 0
    for place in range(len(numbers)):
        number = numbers[place]
        if place >= repeat and number == numbers[place - repeat]:
            rows[place] = rows[place - repeat]
            continue
        slot = _slot(number, known, slots)
        found = slots[slot]
        if found < 0:
            if count == len(known):
                known = _grown(known)
                slots = np.full(2 * len(slots), -1, np.int32)
                for old in range(count):
                    slots[_slot(known[old], known, slots)] = old
                slot = _slot(number, known, slots)
            found = count
            slots[slot] = found
            known[found] = number
            count += 1
        rows[place] = found
    return known[:count].copy(), slots


@numba.njit(cache=True, nogil=True)
@no_type_check
def gather_lists(
    rows: Int32[np.ndarray, "point corner"], shares: Float32[np.ndarray, "point corner"], count: int
) -> tuple[Int32[np.ndarray, "begin"], Int32[np.ndarray, "visit"], Float32[np.ndarray, "visit"]]:
    """For each of `count` corners: where its list begins; the points in it and their shares."""
    begins = np.zeros(count + 1, np.int32)
    for point in range(rows.shape[0]):
        for corner in range(rows.shape[1]):
            begins[rows[point, corner] + 1] += 1
    for row in range(count):
        begins[row + 1] += begins[row]
    following = begins[:-1].copy()
    points = np.empty(rows.size, np.int32)
    portions = np.empty(rows.size, np.float32)
    for point in range(rows.shape[0]):
        for corner in range(rows.shape[1]):
            visit = following[rows[point, corner]]
            following[rows[point, corner]] = visit + 1
            points[visit] = point
            portions[visit] = shares[point, corner]
    return begins, points, portions


@numba.njit(cache=True, nogil=True)
@no_type_check
def _grown(array: Int64[np.ndarray, "size"]) -> Int64[np.ndarray, "twice"]:
    larger = np.empty(2 * len(array), array.dtype)
    larger[: len(array)] = array
    return larger


@numba.njit(cache=True, nogil=True)
@no_type_check
def chains(
    known: Int64[np.ndarray, "corner"], slots: Int32[np.ndarray, "slot"], step: int
) -> tuple[Int32[np.ndarray, "place"], Int32[np.ndarray, "begin"]]:
    """Walk along an axis: runs of two corners or more that follow one another."""
    count = len(known)
    following = np.empty(count, np.int32)
    preceded = np.zeros(count, np.bool_)
    for corner in range(count):
        after = slots[_slot(known[corner] + step, known, slots)]
        following[corner] = after
        if after >= 0:
            preceded[after] = True
    order = np.empty(count, np.int32)
    begins = np.empty(count // 2 + 1, np.int32)
    place = 0
    chains = 0
    for corner in range(count):
        if not preceded[corner] and following[corner] >= 0:
            begins[chains] = place
            chains += 1
            current = corner
            while current >= 0:
                order[place] = current
                place += 1
                current = following[current]
    begins[chains] = place
    return order[:place].copy(), begins[: chains + 1].copy()
