"""The cheapest one-to-one assignment between the pixels of two masks, near pairs only.

The assignment problem of the Berkeley boundary benchmark (Martin, Fowlkes and Malik 2004,
doi:10.1109/TPAMI.2004.1273918, appendix B): a pair costs its distance, and a pixel that stays alone
costs far more, so that as many pixels as possible find a partner, at the least total distance.

Solved exactly by shortest augmenting paths over reduced costs (Jonker and Volgenant 1987,
doi:10.1007/BF02278710) on the sparse graph of near pairs: O(n m log n) at worst for n pixels and
m near pairs, close to O(m) where the masks are lines, as most pixels take their nearest at once.

Differences from the paper: the benchmark's code links each pixel to a few random outliers and
solves that; here a pixel that stays alone just pays, which is the same problem without the chance.
"""

import math
from heapq import heappop, heappush
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Bool, Int32, Int64
from numpy import ndarray

_SCALE = 1024.0  # costs are whole numbers of 1/1024 pixels, so that sums are exact


def assigned_pixels(
    ours: Bool[ndarray, "height width"],
    theirs: Bool[ndarray, "_ _"],
    *,
    radius: float,
    alone_cost: float,
) -> Int64[ndarray, "pair 2"]:
    """Pair pixels of two masks, each at most once, at the least total cost.

    Args:
        ours: pixels of one side.
        theirs: pixels of the other, in a mask of the same size.
        radius: how far apart a pair may be, in pixels, 0 or more; up to this distance it may.
        alone_cost: what each pixel without a partner costs, of either side, in pixels.

    Returns:
        Places in the flattened masks: of ours and of theirs.

    Raises:
        ValueError: when the masks differ in size, or the radius or the cost is negative.

    >>> a, b = np.zeros((2, 1, 6), np.bool_)
    >>> a[0, [0, 4]], b[0, [1, 2, 5]] = True, True
    >>> assigned_pixels(a, b, radius=1.5, alone_cost=100.0).tolist()
    [[0, 1], [4, 5]]
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"the masks are of {ours.shape} and {theirs.shape}: give them one size")
    if not (radius >= 0 and alone_cost >= 0):
        raise ValueError(f"radius {radius} and alone_cost {alone_cost} must be 0 or more")
    mine, others = np.flatnonzero(ours), np.flatnonzero(theirs)
    if mine.size > others.size:  # the side with fewer pixels seeks
        return assigned_pixels(theirs, ours, radius=radius, alone_cost=alone_cost)[:, ::-1].copy()
    reach = math.floor(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    square = rows**2 + columns**2
    order = np.argsort(square, kind="stable")
    order = order[square[order] <= radius**2]
    width = theirs.shape[1] + 2 * reach
    number = np.full((theirs.shape[0] + 2 * reach, width), -1, np.int32)
    number[reach : reach + theirs.shape[0], reach : reach + theirs.shape[1]][theirs] = np.arange(
        others.size
    )
    y, x = np.divmod(mine, theirs.shape[1])
    pairs = _near_pairs(
        number.ravel(),
        ((y + reach) * width + x + reach).astype(np.int64),
        (rows * width + columns)[order].astype(np.int64),
        np.rint(_SCALE * np.sqrt(square[order])).astype(np.int64),
    )
    partner = _assigned(*pairs, others.size, round(2 * _SCALE * alone_cost))
    paired = partner >= 0
    return np.stack([mine[paired], others[partner[paired]]], axis=1).astype(np.int64)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _near_pairs(
    number: Int32[ndarray, " place"],
    places: Int64[ndarray, " row"],
    steps: Int64[ndarray, " step"],
    costs: Int64[ndarray, " step"],
) -> tuple[Int64[ndarray, " row+1"], Int32[ndarray, " pair"], Int64[ndarray, " pair"]]:
    """Who may pair with whom at which cost, as compressed rows, near ones first."""
    start = np.zeros(places.size + 1, np.int64)
    for i in range(places.size):
        found = 0
        for step in steps:
            found += number[places[i] + step] >= 0
        start[i + 1] = start[i] + found
    near = np.empty(start[-1], np.int32)
    cost = np.empty(start[-1], np.int64)
    at = 0
    for i in range(places.size):
        for k in range(steps.size):
            j = number[places[i] + steps[k]]
            if j >= 0:
                near[at], cost[at] = j, costs[k]
                at += 1
    return start, near, cost


@numba.njit(cache=True, nogil=True)
@no_type_check
def _assigned(
    start: Int64[ndarray, " row+1"],
    near: Int32[ndarray, " pair"],
    cost: Int64[ndarray, " pair"],
    columns: int,
    alone: int,
) -> Int64[ndarray, " row"]:
    """For each row (a seeking pixel) its column, or -1 where to stay alone is cheaper.

    `u` and `v` are the prices of rows and columns: no pair costs less than u + v, pairs that are
    made cost just that, a row costs at most `alone`, and a column without a partner has price 0.
    """
    rows = start.size - 1
    u = np.full(rows, alone, np.int64)
    v = np.zeros(columns, np.int64)
    column_of = np.full(rows, -1, np.int64)
    row_of = np.full(columns, -1, np.int64)
    # Each row at the price of its nearest; it takes it, or one as near, if that is free.
    for i in range(rows):
        if start[i] < start[i + 1]:
            u[i] = min(alone, cost[start[i]])
        for e in range(start[i], start[i + 1]):
            if cost[e] > u[i]:
                break
            if row_of[near[e]] < 0:
                column_of[i], row_of[near[e]] = near[e], i
                break

    unreached = np.int64(2**62)
    distance = np.full(columns, unreached, np.int64)
    settled = np.zeros(columns, np.bool_)
    parent = np.empty(columns, np.int64)
    touched = np.empty(columns, np.int64)
    tree = np.empty(columns, np.int64)
    for seeker in range(rows):
        if column_of[seeker] >= 0 or u[seeker] >= alone:
            continue
        # The shortest path, over pairs that would change, to a free column or to a row that would
        # better stay alone (Dijkstra).
        heap = [(np.int64(0), np.int64(-1))]
        heap.clear()
        reached, in_tree, end = 0, 0, np.int64(-1)
        row, so_far = np.int64(seeker), np.int64(0)
        leaver, leaving = row, alone - u[row]
        while True:
            for e in range(start[row], start[row + 1]):
                j = near[e]
                there = so_far + cost[e] - u[row] - v[j]
                if settled[j] or there >= distance[j] or there >= leaving:
                    continue
                if distance[j] == unreached:
                    touched[reached] = j
                    reached += 1
                distance[j], parent[j] = there, row
                heappush(heap, (there, np.int64(j)))
            found = np.int64(-1)
            while len(heap) > 0 and found < 0:
                there, j = heappop(heap)
                if not settled[j] and there == distance[j]:
                    found = j
            if found < 0 or distance[found] >= leaving:
                so_far = leaving
                break
            so_far = distance[found]
            if row_of[found] < 0:
                end = found
                break
            settled[found] = True
            tree[in_tree] = found
            in_tree += 1
            row = row_of[found]
            if so_far + alone - u[row] < leaving:
                leaver, leaving = row, so_far + alone - u[row]
        # The new prices keep every pair that is made at its cost.
        u[seeker] += so_far
        for k in range(in_tree):
            j = tree[k]
            u[row_of[j]] += so_far - distance[j]
            v[j] -= so_far - distance[j]
        for k in range(reached):
            distance[touched[k]] = unreached
            settled[touched[k]] = False
        # Pairs change along the path, back from its end.
        if end < 0:
            end = column_of[leaver]
            column_of[leaver] = -1
        while end >= 0:
            row = parent[end]
            row_of[end] = row
            column_of[row], end = end, column_of[row]
    return column_of
