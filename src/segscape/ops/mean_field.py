"""The steps of a mean field that touch every label of every pixel."""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32

_BLOCK = 64


@numba.njit(cache=True, nogil=True, inline="always")
@no_type_check
def _exp(x: np.float32) -> np.float32:
    """e^x for x <= 88 to 1e-7 of itself, and 0 below 4e-18.

    Compilers vectorise this but no call of a library. Smaller numbers change no sum, but become so
    small in products that processors take a hundred times as long for them.
    """
    counts = np.float32(x > np.float32(-40))
    x = max(x, np.float32(-40))
    power = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    # x - power ln 2, with ln 2 in two parts.
    x = x - power * np.float32(0.693359375)
    x = x + power * np.float32(2.12194440e-4)
    series = np.float32(1 / 5040)
    series = series * x + np.float32(1 / 720)
    series = series * x + np.float32(1 / 120)
    series = series * x + np.float32(1 / 24)
    series = series * x + np.float32(1 / 6)
    series = series * x + np.float32(0.5)
    series = series * x * x + x + np.float32(1)
    two_to_power = np.int32((np.int32(power) + np.int32(127)) << np.int32(23)).view(np.float32)
    return series * two_to_power * counts


# The shape checker of the tests must not wrap what numba compiles.
@numba.njit(cache=True, nogil=True, fastmath=True)
@no_type_check
def softmax_rows(
    message: Float32[np.ndarray, "part label"],
    unary: Float32[np.ndarray, "pixel label"],
    first: int,
    out: Float32[np.ndarray, "pixel label"],
) -> None:
    """Write softmax(message - unary) over the labels into the rows `first` and on of `out`."""
    labels = message.shape[1]
    score = np.empty((_BLOCK, labels), np.float32)
    flat = score.reshape(_BLOCK * labels)
    scale = np.empty(_BLOCK, np.float32)
    for start in range(0, message.shape[0], _BLOCK):
        size = min(_BLOCK, message.shape[0] - start)
        row = first + start
        for p in range(size):
            for label in range(labels):
                score[p, label] = message[start + p, label] - unary[row + p, label]
        for p in range(size):
            highest = score[p, 0]
            for label in range(labels):
                highest = max(highest, score[p, label])
            scale[p] = highest
        for p in range(size):
            for label in range(labels):
                score[p, label] -= scale[p]
        for j in range(size * labels):
            flat[j] = _exp(flat[j])
        for p in range(size):
            total = np.float32(0)
            for label in range(labels):
                total += score[p, label]
            scale[p] = np.float32(1) / total
        for p in range(size):
            for label in range(labels):
                out[row + p, label] = score[p, label] * scale[p]
