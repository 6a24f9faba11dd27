"""An image cut into a given number of nearly square cells, from which superpixels start."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32
from numpy import ndarray


class SuperpixelGrid(NamedTuple):
    """Cells in rows; the rows are of one height, the cells of one row of one width.

    Args:
        labels: the cell each pixel lies in, row by row from 0.
        centers: y and x of the middle of each cell, in pixels from the middle of pixel (0, 0).
        cell_height: of a row, in pixels.
        cell_width: of the widest cell, in pixels.
    """

    labels: Int32[ndarray, "height width"]
    centers: Float64[ndarray, "cell 2"]
    cell_height: float
    cell_width: float


def superpixel_grid(height: int, width: int, count: int) -> SuperpixelGrid:
    """Cut an image into exactly `count` cells, each of at least one pixel and connected.

    Rows differ by one in their number of cells, so that any count comes out, primes too.

    Args:
        height: in pixels, 1 or more.
        width: in pixels, 1 or more.
        count: 1..height x width.

    Raises:
        ValueError: for any other count.

    >>> superpixel_grid(4, 6, 5).labels[::2].tolist()
    [[0, 0, 0, 1, 1, 1], [2, 2, 3, 3, 4, 4]]
    """
    if not 1 <= count <= height * width:
        raise ValueError(f"{count} cells were asked of {height} x {width} pixels")
    rows = round((count * height / width) ** 0.5)
    rows = min(max(rows, -(-count // width)), height, count)
    starts = np.arange(rows + 1) * count // rows
    cells = np.diff(starts)
    row = (2 * np.arange(height) + 1) * rows // (2 * height)
    column = (2 * np.arange(width) + 1)[None] * cells[:, None] // (2 * width)
    labels = (starts[:-1, None] + column).astype(np.int32)[row]
    in_row = np.arange(count) - np.repeat(starts[:-1], cells)
    y = (np.repeat(np.arange(rows), cells) + 0.5) * height / rows - 0.5
    x = (in_row + 0.5) * width / np.repeat(cells, cells) - 0.5
    return SuperpixelGrid(labels, np.stack([y, x], 1), height / rows, width / int(cells.min()))
