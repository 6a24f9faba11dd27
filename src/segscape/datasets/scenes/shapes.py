"""Signed distances to outlines (negative inside), and smooth noise."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from segscape.datasets.scenes.canvas import Plane

Coordinates = Float[ndarray, "_ _"]


def ellipse(
    x: Coordinates, y: Coordinates, center: tuple[float, float], radii: tuple[float, float]
) -> Plane:
    """Distance to an ellipse along its axes, exact for circles and close near the outline."""
    reach = np.hypot((x - center[0]) / radii[0], (y - center[1]) / radii[1])
    return ((reach - 1) * min(radii)).astype(np.float32, copy=False)


def box(
    x: Coordinates, y: Coordinates, corner: tuple[float, float], other: tuple[float, float]
) -> Plane:
    """Distance to an upright rectangle between its lower left and upper right corner."""
    across = np.maximum(corner[0] - x, x - other[0])
    return np.maximum(across, np.maximum(corner[1] - y, y - other[1]))


def capsule(
    x: Coordinates,
    y: Coordinates,
    start: tuple[float, float],
    end: tuple[float, float],
    radius: float,
) -> Plane:
    """Distance to a thick line with round ends."""
    run, rise = end[0] - start[0], end[1] - start[1]
    along = ((x - start[0]) * run + (y - start[1]) * rise) / (run * run + rise * rise)
    along = np.clip(along, 0, 1)
    away = np.hypot(x - start[0] - along * run, y - start[1] - along * rise) - radius
    return away.astype(np.float32, copy=False)


def polygon(x: Coordinates, y: Coordinates, corners: Sequence[tuple[float, float]]) -> Plane:
    """Distance to a convex polygon, corners counter-clockwise with y up (clockwise with y down)."""
    distance = None
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        length = float(np.hypot(x1 - x0, y1 - y0))
        edge = ((y1 - y0) / length) * (x - x0) - ((x1 - x0) / length) * (y - y0)
        distance = edge if distance is None else np.maximum(distance, edge)
    if distance is None:
        raise ValueError("a polygon needs corners")
    return distance.astype(np.float32, copy=False)


def union(*distances: Plane) -> Plane:
    """Distance to the nearest of several shapes."""
    nearest = distances[0]
    for distance in distances[1:]:
        nearest = np.minimum(nearest, distance)
    return nearest


def noise(
    random: np.random.Generator,
    rows: Float32[ndarray, "height"],
    columns: Float32[ndarray, "width"],
    octaves: int = 1,
) -> Float32[ndarray, "height width"]:
    """Smooth noise in about -1..1, with a lattice of random values at the whole coordinates.

    Every further octave has twice the frequency and half the strength. Coordinates need not be
    even: rows that crowd towards a horizon give a plane seen in perspective.
    """
    total = np.zeros((len(rows), len(columns)), np.float32)
    for octave in range(octaves):
        frequency, strength = np.float32(2**octave), np.float32(0.5**octave)
        (i, u), (j, v) = _steps(rows * frequency), _steps(columns * frequency)
        shape = (int(i.max(initial=0)) + 2, int(j.max(initial=0)) + 2)
        lattice = random.random(shape, dtype=np.float32) * 2 - 1
        near = lattice.take(i, 0)
        across = near + u[:, None] * (lattice.take(i + 1, 0) - near)
        left = across.take(j, 1)
        total += strength * (left + v * (across.take(j + 1, 1) - left))
    return total


def _steps(coordinates: Float32[ndarray, "n"]) -> tuple[ndarray, Float32[ndarray, "n"]]:
    """Lattice cell, from 0 up, and the smoothed position within it."""
    if len(coordinates) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    cell = np.floor(coordinates)
    part = (coordinates - cell).astype(np.float32)
    return (cell - cell.min()).astype(np.int64), part * part * (3 - 2 * part)
