"""Pixels that can change sides without changing how anything is connected.

Kong and Rosenfeld 1989, "Digital topology: introduction and survey"
(doi:10.1016/0734-189X(89)90147-3); the count is Yokoi's crossing number (Yokoi, Toriwaki and
Fukumura 1975, doi:10.1016/0146-664X(75)90003-9). Objects are connected over edges (4 neighbours),
what is between them over corners, too (8 neighbours): a diagonal line one pixel thin separates.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from scipy import ndimage


def warped(
    mask: Bool[ndarray, "height width"],
    target: Bool[ndarray, "height width"],
    allowed: Bool[ndarray, "height width"] | None = None,
) -> Bool[ndarray, "height width"]:
    """Make a mask as like another as flips of simple pixels can, each one towards the target.

    Objects and holes neither appear nor vanish, neither join nor part. What is beyond the image
    counts as False. Pixels are taken row by row, forward and backward in turn, until none is left
    that may flip; another order may end with a few pixels more or less. Pixels that agree stay, so
    a line one pixel thin moves by one pixel, but not by two.

    Args:
        mask: where to start.
        target: where to go.
        allowed: pixels that may flip; None for all.

    >>> mask = np.array([[1, 1, 0, 0, 0, 1, 1]], bool)
    >>> warped(mask, np.ones((1, 7), bool)).astype(int).tolist()
    [[1, 1, 1, 1, 0, 1, 1]]
    """
    framed = np.pad(mask, 1)
    differs = np.pad(mask != target if allowed is None else (mask != target) & allowed, 1)
    _flip(framed.ravel(), differs.ravel(), framed.shape[1])
    return framed[1:-1, 1:-1]


def thinned_borders(mask: Bool[ndarray, "height width"]) -> Bool[ndarray, "height width"]:
    """Let objects grow until what separates them, and surrounds holes, is one pixel thin.

    The pixels next to the objects are taken first, so that lines end midway.

    >>> mask = np.array([[1, 1, 0, 0, 0, 1, 1]], bool)
    >>> thinned_borders(mask).astype(int).tolist()
    [[1, 1, 1, 0, 1, 1, 1]]
    """
    if not mask.any():
        return mask
    framed = np.pad(mask, 1)
    distance = np.pad(ndimage.distance_transform_edt(~mask), 1)
    places = np.flatnonzero(distance > 0)
    order = places[np.argsort(distance.ravel()[places], kind="stable")]
    _grow(framed.ravel(), order, framed.shape[1])
    return framed[1:-1, 1:-1]


# The shape checker of the tests must not wrap what numba compiles.
@numba.njit(cache=True, nogil=True)
@no_type_check
def _is_simple(mask, p, width):  # noqa: ANN001, ANN202  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """Whether the crossing number sum x_k (1 - x_{k+1} x_{k+2}), k = 0, 2, 4, 6, is 1."""
    right, below, left, above = mask[p + 1], mask[p + width], mask[p - 1], mask[p - width]
    crossings = 0
    crossings += right and not (mask[p - width + 1] and above)
    crossings += above and not (mask[p - width - 1] and left)
    crossings += left and not (mask[p + width - 1] and below)
    crossings += below and not (mask[p + width + 1] and right)
    return crossings == 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _flip(mask, differs, width):  # noqa: ANN001, ANN202  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    places = np.flatnonzero(differs)
    while True:
        left = 0
        for p in places:
            if _is_simple(mask, p, width):
                mask[p] = not mask[p]
            else:
                places[left] = p
                left += 1
        if left == places.size:
            return
        places = places[:left][::-1].copy()


@numba.njit(cache=True, nogil=True)
@no_type_check
def _grow(mask, places, width):  # noqa: ANN001, ANN202  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    while True:
        left = 0
        for p in places:
            if _is_simple(mask, p, width):
                mask[p] = True
            else:
                places[left] = p
                left += 1
        if left == places.size:
            return
        places = places[:left].copy()
