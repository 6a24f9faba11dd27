"""U-Net's weight map, which makes the thin gaps between touching cells count.

Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, arXiv 1505.04597, equation 2:

    w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2))

Differences from the paper: none in the equation. The paper does not say how far a pixel within a
cell is from that cell's border; here the second term is for the pixels outside of cells, which are
what it is meant for, unless `inside_cells` asks for all pixels, with d1 = 0 within a cell. w_c is
the inverse frequency of the categories in this map, scaled to a mean of 1.
"""

import math
from typing import no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Float, Float32, Integer
from scipy import ndimage
from torch import Tensor

# Beyond six sigma the exponential is below e^-18, 1.5e-8 of w0: less than float32 can add to 1.
_HORIZON_SIGMAS = 6.0


def border_weights(
    labels: Integer[Tensor, "height width"],
    *,
    foreground: int,
    cells: Integer[Tensor, "height width"] | None = None,
    w0: float = 10.0,
    sigma_px: float = 5.0,
    class_balance: bool = True,
    ignore_id: int | None = 255,
    inside_cells: bool = False,
) -> Float32[Tensor, "height width"]:
    """Compute U-Net's weight for each pixel (equation 2).

    Args:
        labels: category ids.
        foreground: the id of the cells; each 4-connected piece of it is one cell.
        cells: ids of the cells (0 is none) when they are known, instead of connected pieces.
        w0: the weight added where two cells all but touch.
        sigma_px: width of the effect in pixels, above 0.
        class_balance: w_c is the inverse class frequency with a mean of 1; otherwise 1.
        ignore_id: pixels of this id neither count as a category nor get a weight: theirs is 0, so
            that the sum of the weights is what the loss divides by. None ignores nothing.
        inside_cells: add the second term within cells as well.

    Raises:
        ValueError: when w0 or sigma_px is out of range, or cells are not of the labels' size.

    >>> labels = torch.tensor([[1, 0, 1, 255]])
    >>> [round(w, 3) for w in border_weights(labels, foreground=1)[0].tolist()]
    [0.75, 10.731, 0.75, 0.0]
    """
    if not (math.isfinite(w0) and w0 >= 0 and math.isfinite(sigma_px) and sigma_px > 0):
        raise ValueError(f"border weights: w0 is {w0}, sigma_px {sigma_px}: expected >= 0 and > 0")
    if cells is not None and cells.shape != labels.shape:
        raise ValueError(
            f"border weights: cells of {tuple(cells.shape)} for labels of {tuple(labels.shape)}"
        )
    if cells is None:
        ids, _ = ndimage.label((labels == foreground).cpu().numpy())
    else:
        ids = cells.cpu().numpy()
    weights = _separation(
        np.ascontiguousarray(ids, dtype=np.int64), float(w0), float(sigma_px), inside_cells
    )
    total = torch.from_numpy(weights).to(labels.device)
    total += _class_weights(labels, ignore_id) if class_balance else 1.0
    if ignore_id is not None:
        total[labels == ignore_id] = 0
    return total


def _class_weights(
    labels: Integer[Tensor, "height width"], ignore_id: int | None
) -> Float[Tensor, "height width"]:
    """w_c(x) = N / (K n_c): n_c of the N pixels that count are of the category, K occur."""
    place = labels.long()
    lowest = int(place.min())
    counts = torch.bincount((place - lowest).flatten()).double()
    if ignore_id is not None and 0 <= ignore_id - lowest < len(counts):
        counts[ignore_id - lowest] = 0
    occur = max(int((counts > 0).sum()), 1)
    return (counts.sum() / (occur * counts.clamp(min=1))).float()[place - lowest]


# The shape checker of the tests must not wrap what numba compiles.
@numba.njit(cache=True)
@no_type_check
def _separation(cells, w0, sigma, inside_cells):  # noqa: ANN001, ANN202  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """The second term of equation 2.

    The nearest cell and the second nearest are found column by column, then along the rows. A cell
    that is third in a column is third there for every pixel of a row, so two per column suffice
    and the distances are exact.
    """
    height, width = cells.shape
    horizon = int(np.ceil(_HORIZON_SIGMAS * sigma))
    far = 2 * horizon + 2
    near = np.zeros((height, width, 2), np.int64)
    gap = np.full((height, width, 2), far, np.int64)
    for column in range(width):
        for direction in (1, -1):
            first, second, first_row, second_row = 0, 0, 0, 0
            for step in range(height):
                row = step if direction == 1 else height - 1 - step
                cell = cells[row, column]
                if cell != 0:
                    if cell != first:
                        second, second_row = first, first_row
                    first, first_row = cell, row
                for cell, at in ((first, first_row), (second, second_row)):
                    distance = abs(row - at)
                    if cell == 0 or distance > horizon:
                        continue
                    if cell == near[row, column, 0]:
                        gap[row, column, 0] = min(distance, gap[row, column, 0])
                    elif distance < gap[row, column, 0]:
                        near[row, column, 1] = near[row, column, 0]
                        gap[row, column, 1] = gap[row, column, 0]
                        near[row, column, 0] = cell
                        gap[row, column, 0] = distance
                    elif distance < gap[row, column, 1]:
                        near[row, column, 1] = cell
                        gap[row, column, 1] = distance

    weights = np.zeros((height, width), np.float32)
    for row in range(height):
        for column in range(width):
            if cells[row, column] != 0 and not inside_cells:
                continue
            nearest = 0
            first_square = horizon * horizon + 1
            second_square = first_square
            for offset in range(horizon + 1):
                if offset * offset >= second_square:
                    break
                for side in (-1, 1):
                    other = column + side * offset
                    if other < 0 or other >= width or (offset == 0 and side == 1):
                        continue
                    for rank in range(2):
                        cell = near[row, other, rank]
                        square = offset * offset + gap[row, other, rank] ** 2
                        if cell == 0 or square >= second_square:
                            continue
                        if cell == nearest:
                            first_square = min(square, first_square)
                        elif square < first_square:
                            nearest, second_square = cell, first_square
                            first_square = square
                        else:
                            second_square = square
            if second_square <= horizon * horizon:
                distance = np.sqrt(first_square) + np.sqrt(second_square)
                weights[row, column] = w0 * np.exp(-(distance**2) / (2 * sigma**2))
    return weights
