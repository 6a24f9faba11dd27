"""Strokes of a brush as pixels."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

# A line of no width still marks the pixels whose centres are nearest: half a pixel's diagonal.
_LEAST_RADIUS = 0.7072


def stroke_pixels(
    points: Sequence[tuple[float, float]], *, width: float, size: tuple[int, int]
) -> Bool[ndarray, "height width"]:
    """Mark the pixels whose centres are near a line from point to point, with round ends.

    Args:
        points: x and y, at least one; pixel (0, 0) covers [0, 1) x [0, 1). They may lie outside.
        width: of the line in pixels, above 0.
        size: height and width of the image.

    Raises:
        ValueError: without points, for one that is not finite, or a width that is not above 0.

    >>> stroke_pixels([(0.5, 0.5), (2.5, 0.5)], width=1.0, size=(2, 4)).astype(int).tolist()
    [[1, 1, 1, 0], [0, 0, 0, 0]]
    """
    line = np.asarray(points, np.float64).reshape(-1, 2)
    if len(line) == 0 or not np.isfinite(line).all() or not 0 < width < np.inf:
        raise ValueError(f"a stroke of {len(line)} points and width {width} cannot be drawn")
    height, columns = size
    radius = max(width / 2, _LEAST_RADIUS)
    marked = np.zeros(size, np.bool_)
    starts, ends = line[:-1] if len(line) > 1 else line, line[1:] if len(line) > 1 else line
    for start, end in zip(starts, ends, strict=True):
        # Only the window around the segment is looked at.
        low = np.floor(np.minimum(start, end) - radius)
        high = np.ceil(np.maximum(start, end) + radius)
        left, top = np.clip(low, 0, [columns, height]).astype(np.int64)
        right, bottom = np.clip(high, 0, [columns, height]).astype(np.int64)
        y, x = np.mgrid[top:bottom, left:right] + 0.5
        along = end - start
        length = float(along @ along)
        place = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (length or 1.0)
        place = np.clip(place, 0.0, 1.0)
        squares = (x - start[0] - place * along[0]) ** 2 + (y - start[1] - place * along[1]) ** 2
        marked[top:bottom, left:right] |= squares <= radius**2
    return marked
