"""Thinning: a mask down to lines of one pixel, its pieces and holes kept.

Guo and Hall 1989, "Parallel thinning with two-subiteration algorithms" (doi:10.1145/62065.62074),
algorithm A1; Lam, Lee and Suen 1992 (doi:10.1109/34.161346), section IV, for its statement.

Differences from the paper: none; two rounds in turn until nothing changes, as MATLAB's
`bwmorph(mask, 'thin', inf)` and scikit-image's `thin`, to which the result is equal. Only the
pixels that are still on are looked at, not the whole image: O(pixels on x rounds).
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Bool
from numpy import ndarray


def thinned(mask: Bool[ndarray, "height width"]) -> Bool[ndarray, "height width"]:
    """Peel a mask until it is one pixel wide.

    Args:
        mask: what to thin; beyond the image lies nothing.

    >>> thinned(np.ones((3, 5), np.bool_)).astype(int).tolist()
    [[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]
    """
    framed = np.pad(mask, 1)
    _thin(framed)
    return framed[1:-1, 1:-1].copy()


@numba.njit(cache=True, nogil=True)
@no_type_check
def _thin(mask: Bool[ndarray, "height width"]) -> None:
    """Thin in place; the mask is framed by one pixel that is off."""
    width = mask.shape[1]
    pixels = mask.ravel()
    on = np.flatnonzero(pixels)
    doomed = np.empty(on.size, np.int64)
    # x1 .. x8 of the paper: east first, then against the clock.
    around = np.array([1, 1 - width, -width, -width - 1, -1, width - 1, width, width + 1])
    x = np.empty(9, np.bool_)
    left = on.size
    changed = True
    while changed:
        changed = False
        for turn in range(2):
            number = 0
            for i in range(left):
                p = on[i]
                for k in range(8):
                    x[k] = pixels[p + around[k]]
                x[8] = x[0]
                crossings, first, second = 0, 0, 0
                for k in range(0, 8, 2):
                    crossings += (not x[k]) and (x[k + 1] or x[k + 2])
                    first += x[k] or x[k + 1]
                    second += x[k + 1] or x[k + 2]
                # Conditions G1, G2 and G3, the last turned by 180 degrees in the second round.
                if crossings != 1 or not 2 <= min(first, second) <= 3:
                    continue
                if turn == 0:
                    stays = (x[1] or x[2] or not x[7]) and x[0]
                else:
                    stays = (x[5] or x[6] or not x[3]) and x[4]
                if not stays:
                    doomed[number] = p
                    number += 1
            for i in range(number):
                pixels[doomed[i]] = False
            if number > 0:
                changed = True
                kept = 0
                for i in range(left):
                    if pixels[on[i]]:
                        on[kept] = on[i]
                        kept += 1
                left = kept
