"""The steps of a mean field that touch every label of every pixel."""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Int64

from segscape.ops.lanes import (
    LANES,
    across,
    larger,
    largest,
    load,
    spread,
    store,
    two_to,
    where_at_most,
    whole,
)

_BLOCK = 64


@numba.njit(cache=True, nogil=True, inline="always")
@no_type_check
def _exp(x: np.float32) -> np.float32:
    """e^x of lanes for x <= 88 to 1e-7 of itself, and 0 below 4e-18.

    Smaller numbers change no sum, but become so small in products that processors take a hundred
    times as long for them.
    """
    least = spread(np.float32(-40))
    counts = where_at_most(spread(np.float32(1)), least, x)
    x = larger(x, least)
    power = whole(x * spread(np.float32(1.44269504)) + spread(np.float32(0.5)))
    # x - power ln 2, with ln 2 in two parts.
    x = x - power * spread(np.float32(0.693359375))
    x = x + power * spread(np.float32(2.12194440e-4))
    series = spread(np.float32(1 / 5040))
    series = series * x + spread(np.float32(1 / 720))
    series = series * x + spread(np.float32(1 / 120))
    series = series * x + spread(np.float32(1 / 24))
    series = series * x + spread(np.float32(1 / 6))
    series = series * x + spread(np.float32(0.5))
    series = series * x * x + x + spread(np.float32(1))
    return series * two_to(power) * counts


# The shape checker of the tests must not wrap what numba compiles.
@numba.njit(cache=True, nogil=True)
@no_type_check
def softmax_rows(
    message: Float32[np.ndarray, "part label"],
    unary: Float32[np.ndarray, "pixel label"],
    first: int,
    out: Float32[np.ndarray, "pixel label"],
) -> None:
    """Write softmax(message - unary) over the labels into the rows `first` and on of `out`.

    Labels are a multiple of LANES; `message` is used up.
    """
    labels = message.shape[1]
    for here in range(0, message.size, labels):
        place = first * labels + here
        top = spread(np.float32(-np.inf))
        for label in range(0, labels, LANES):
            score = load(message, here + label) - load(unary, place + label)
            store(message, here + label, score)
            top = larger(top, score)
        top = spread(largest(top))
        total = spread(np.float32(0))
        for label in range(0, labels, LANES):
            share = _exp(load(message, here + label) - top)
            store(message, here + label, share)
            total = total + share
        scale = spread(np.float32(1) / across(total))
        for label in range(0, labels, LANES):
            store(out, place + label, load(message, here + label) * scale)


@numba.njit(cache=True, nogil=True)
@no_type_check
def most_probable(
    costs: Float32[np.ndarray, "label pixel"], start: int, stop: int
) -> Float32[np.ndarray, "label"]:
    """How probable each label is at the pixel of start..stop where it is most, by a softmax."""
    labels = costs.shape[0]
    scores = np.empty(labels * _BLOCK, np.float32)
    found = np.zeros(labels * LANES, np.float32)
    for first in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - first)
        for label in range(labels):
            for p in range(size):
                scores[label * _BLOCK + p] = -costs[label, first + p]
            for p in range(size, _BLOCK):
                scores[label * _BLOCK + p] = -costs[label, first]
        for p in range(0, _BLOCK, LANES):
            top = load(scores, p)
            for label in range(1, labels):
                top = larger(top, load(scores, label * _BLOCK + p))
            total = spread(np.float32(0))
            for label in range(labels):
                share = _exp(load(scores, label * _BLOCK + p) - top)
                store(scores, label * _BLOCK + p, share)
                total = total + share
            scale = spread(np.float32(1)) / total
            for label in range(labels):
                share = load(scores, label * _BLOCK + p) * scale
                store(found, label * LANES, larger(load(found, label * LANES), share))
    highest = np.empty(labels, np.float32)
    for label in range(labels):
        highest[label] = largest(load(found, label * LANES))
    return highest


@numba.njit(cache=True, nogil=True)
@no_type_check
def pixel_rows(
    costs: Float32[np.ndarray, "category pixel"],
    kept: Int64[np.ndarray, "label"],
    out: Float32[np.ndarray, "pixel lane"],
    start: int,
    stop: int,
) -> None:
    """Write the kept labels' costs of start..stop side by side, less the lowest of the pixel."""
    lowest = np.empty(_BLOCK, np.float32)
    for first in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - first)
        for p in range(size):
            lowest[p] = costs[kept[0], first + p]
        for k in range(1, len(kept)):
            for p in range(size):
                lowest[p] = min(lowest[p], costs[kept[k], first + p])
        for k in range(len(kept)):
            for p in range(size):
                out[first + p, k] = costs[kept[k], first + p] - lowest[p]


@numba.njit(cache=True, nogil=True)
@no_type_check
def label_maps(
    rows: Float32[np.ndarray, "pixel lane"],
    kept: Int64[np.ndarray, "label"],
    out: Float32[np.ndarray, "category pixel"],
    start: int,
    stop: int,
) -> None:
    """Write the kept labels' scores of start..stop into a map each."""
    for first in range(start, stop, _BLOCK):
        for k in range(len(kept)):
            for p in range(first, min(first + _BLOCK, stop)):
                out[kept[k], p] = rows[p, k]
