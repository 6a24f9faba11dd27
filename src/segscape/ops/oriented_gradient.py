"""How much two halves of a disc differ in what they hold: the gradient of a histogram.

Martin, Fowlkes and Malik 2004, "Learning to detect natural image boundaries using local brightness,
color, and texture cues" (IEEE TPAMI 26(5), doi:10.1109/TPAMI.2004.1273918), section 3.

Differences from the paper: the disc is cut into as many wedges as there are rays, their histograms
slide along a row and are shared by all orientations, so a pixel costs the wedges' rims and not the
disc's area. A pixel enters a histogram as a row of `weights`, which smooths it on the way.
"""

from typing import no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Float32, Int32, UInt8
from torch import Tensor

BINS = 32


def oriented_gradient(
    codes: UInt8[Tensor, "height width"],
    weights: Float32[Tensor, "code bin"],
    *,
    radius_px: int,
    orientations: int = 8,
) -> Float32[Tensor, "orientation height width"]:
    """Compare the histograms of the two halves of a disc at each pixel.

    Beyond the border the image is mirrored.

    Args:
        codes: a bin of brightness or colour, or a texton, below the rows of `weights`.
        weights: what a pixel of a code adds to each bin, at most 32 bins; the identity for plain
            histograms.
        radius_px: of the disc, in pixels, 1 or more.
        orientations: of the diameter that parts the halves, 1 or more: o * 180 / orientations
            degrees from the row axis, counted towards larger rows.

    Returns:
        The chi-squared distance, 0 (equal) to 1 (nothing in common).

    Raises:
        ValueError: for a radius or a number of orientations below 1, more than 32 bins, or a code
            without weights.

    >>> codes = torch.zeros(9, 8, dtype=torch.uint8)
    >>> codes[:, 4:] = 1
    >>> across = oriented_gradient(codes, torch.eye(2), radius_px=3, orientations=2)[1]
    >>> (100 * across[4]).int().tolist()
    [0, 3, 27, 64, 64, 27, 3, 0]
    """
    if radius_px < 1 or orientations < 1:
        raise ValueError(
            f"oriented_gradient got radius_px={radius_px}, orientations={orientations}: "
            "expected 1 or more of both"
        )
    if weights.shape[1] > BINS:
        raise ValueError(f"oriented_gradient got {weights.shape[1]} bins: expected {BINS} at most")
    if int(codes.max()) >= weights.shape[0]:
        raise ValueError(
            f"oriented_gradient got code {int(codes.max())} and weights for {weights.shape[0]}: "
            "give each code a row"
        )
    table = np.zeros((weights.shape[0], BINS), np.float32)
    table[:, : weights.shape[1]] = weights.numpy()
    framed = np.pad(codes.numpy(), radius_px, mode="symmetric")
    out = np.empty((orientations, *codes.shape), np.float32)
    _gradients(framed, table, _wedge_rows(radius_px, orientations), radius_px, out)
    return torch.from_numpy(out)


def _wedge_rows(radius: int, orientations: int) -> Int32[np.ndarray, "run 4"]:
    """The disc as rows of its wedges: wedge, row, first column, last column."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    turn = np.arctan2(y, x) % (2 * np.pi) * orientations / np.pi
    wedge = (np.floor(turn + 1e-9) % (2 * orientations)).astype(np.int32)
    inside = (x * x + y * y <= radius * radius) & ((x != 0) | (y != 0))
    runs: list[tuple[int, int, int, int]] = []
    for row in range(2 * radius + 1):
        for name in np.unique(wedge[row][inside[row]]):
            columns = np.flatnonzero((wedge[row] == name) & inside[row])
            # A wedge of 180 degrees holds both sides of the centre.
            parts = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
            runs += [(int(name), row - radius, p[0] - radius, p[-1] - radius) for p in parts]
    return np.array(runs, np.int32)


@numba.njit(cache=True, nogil=True, parallel=True, fastmath=True)
@no_type_check
def _gradients(
    codes: UInt8[np.ndarray, "framed_height framed_width"],
    table: Float32[np.ndarray, "code bin"],
    runs: Int32[np.ndarray, "run 4"],
    radius: int,
    out: Float32[np.ndarray, "orientation height width"],
) -> None:
    orientations, height, width = out.shape
    for y in numba.prange(height):
        wedges = np.zeros((2 * orientations, BINS), np.float32)
        one = np.empty(BINS, np.float32)
        other = np.empty(BINS, np.float32)
        for run in range(runs.shape[0]):
            wedge, row = runs[run, 0], y + radius + runs[run, 1]
            for x in range(runs[run, 2], runs[run, 3] + 1):
                code = codes[row, x + radius]
                for b in range(BINS):
                    wedges[wedge, b] += table[code, b]
        for x in range(width):
            one[:] = 0
            other[:] = 0
            for wedge in range(orientations):
                for b in range(BINS):
                    one[b] += wedges[wedge, b]
                    other[b] += wedges[wedge + orientations, b]
            for o in range(orientations):
                total = np.float32(0)
                distance = np.float32(0)
                for b in range(BINS):
                    difference = one[b] - other[b]
                    both = one[b] + other[b]
                    total += both
                    distance += difference * difference / (both + np.float32(1e-6))
                out[o, y, x] = distance / max(total, np.float32(1e-6))
                for b in range(BINS):
                    change = wedges[o + orientations, b] - wedges[o, b]
                    one[b] += change
                    other[b] -= change
            if x + 1 < width:
                for run in range(runs.shape[0]):
                    wedge, row = runs[run, 0], y + radius + runs[run, 1]
                    gone = codes[row, x + radius + runs[run, 2]]
                    new = codes[row, x + radius + runs[run, 3] + 1]
                    if gone != new:
                        for b in range(BINS):
                            wedges[wedge, b] += table[new, b] - table[gone, b]
