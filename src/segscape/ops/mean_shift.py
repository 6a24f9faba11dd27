"""Paths of mean shift: to the mean of what is near, again and again, until nothing moves.

D. Comaniciu, P. Meer: Mean Shift: A Robust Approach Toward Feature Space Analysis, TPAMI 2002,
doi:10.1109/34.1000236. `classical/mean_shift.py` says what is done with the ends.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32

from segscape.ops.lanes import LANES, across, load, ramp, spread, store, where_at_most

# Rows whose paths are followed one after the other, so that one may end where an earlier one did;
# the bands do not know of each other, and the result not of the number of threads.
_BAND = 32
_FAR = np.float32(1e15)
_ZERO = np.float32(0)
_ONE = np.float32(1)


def pixel_modes(
    colors: Float32[np.ndarray, "channel height width"],
    *,
    radius_px: float,
    share: float,
    stop: float,
    most: int,
) -> Float32[np.ndarray, "coordinate height width"]:
    """Follow every pixel to its mode under the uniform kernel.

    A step goes to the mean place and colour of the pixels within `radius_px` in place and 1 in
    colour, both Euclidean.

    Args:
        colors: any number of channels, in units of the colour bandwidth.
        radius_px: the radius in place, above 0.
        share: 0 for exact paths; else a path ends where an earlier path of its band of rows ended,
            once it comes within this share of both radii to a point of it.
        stop: a step shorter than this, in radii, is the last.
        most: the number of steps after which a path ends anyway.

    Returns:
        Row, column, then the channels.

    >>> colors = np.array([[[0.0, 0.2, 5.0, 5.2]]], dtype=np.float32)
    >>> modes = pixel_modes(colors, radius_px=2.0, share=0.0, stop=1e-3, most=9)
    >>> (10 * modes[2]).round().tolist()
    [[1.0, 1.0, 51.0, 51.0]]
    """
    channels, height, width = colors.shape
    # One kind of kernel for up to three channels; the lanes may read beyond the end of a row.
    planes = np.full((max(3, channels), height, width + LANES), _FAR, np.float32)
    planes[:channels, :, :width] = colors
    planes[channels:, :, :width] = 0
    modes = np.empty((len(planes) + 2, height, width), np.float32)
    _shift_pixels(
        planes.reshape(-1),
        width,
        np.float32(radius_px),
        np.float32(share),
        np.float32(stop),
        most,
        modes,
    )
    return modes[: channels + 2]


def point_modes(
    points: Float32[np.ndarray, "point dimension"], *, stop: float, most: int
) -> Float32[np.ndarray, "point dimension"]:
    """Follow every point to its mode: to the mean of the points within a distance of 1.

    Args:
        points: in units of the bandwidth.
        stop: a step shorter than this is the last.
        most: the number of steps after which a path ends anyway.

    >>> points = np.array([[0.0], [0.5], [9.0]], dtype=np.float32)
    >>> point_modes(points, stop=1e-3, most=9).tolist()
    [[0.25], [0.25], [9.0]]
    """
    # What is near in one dimension is a run of the points in its order.
    widest = int(np.argmax(np.ptp(points, axis=0)))
    order = np.argsort(points[:, widest], kind="stable")
    count, dimensions = points.shape
    planes = np.full((dimensions, count + LANES), _FAR, np.float32)
    planes[:, :count] = points[order].T
    modes = np.empty_like(points)
    _shift_points(planes.reshape(-1), planes[widest, :count], widest, np.float32(stop), most, modes)
    found = np.empty_like(points)
    found[order] = modes
    return found


@numba.njit(cache=True, parallel=True, nogil=True)
@no_type_check
def _shift_pixels(
    planes: Float32[np.ndarray, "flat"],
    width: int,
    radius: np.float32,
    share: np.float32,
    stop: np.float32,
    most: int,
    modes: Float32[np.ndarray, "coordinate height width"],
) -> None:
    height = modes.shape[1]
    for band in numba.prange((height + _BAND - 1) // _BAND):
        top = band * _BAND
        _shift_band(planes, top, min(top + _BAND, height), radius, share, stop, most, modes)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _shift_band(
    planes: Float32[np.ndarray, "flat"],
    top: int,
    bottom: int,
    radius: np.float32,
    share: np.float32,
    stop: np.float32,
    most: int,
    modes: Float32[np.ndarray, "coordinate height width"],
) -> None:
    """Follow the paths of the rows `top`..`bottom` - 1 in turn.

    Each pixel of the band keeps the last point of a path that fell on it, and whose path it was.
    """
    coordinates, height, width = modes.shape
    shortcuts = share > _ZERO
    kept = np.full((bottom - top if shortcuts else 0, width, coordinates), _FAR)
    owners = np.zeros((bottom - top if shortcuts else 0, width), np.int32)
    path = np.empty((most + 1, coordinates), np.float32)
    sums = np.empty((coordinates - 2) * LANES, np.float32)
    here = np.empty(coordinates, np.float32)
    move = np.empty(coordinates, np.float32)
    near_place = share * share * radius * radius
    for row in range(top, bottom):
        for column in range(width):
            here[0] = row
            here[1] = column
            for i in range(2, coordinates):
                here[i] = planes[((i - 2) * height + row) * (width + LANES) + column]
            owner = -1
            passed = 0
            for _ in range(most):
                if shortcuts:
                    y = int(here[0] + np.float32(0.5)) - top
                    x = int(here[1] + np.float32(0.5))
                    if 0 <= y < bottom - top:
                        if _is_near(kept[y, x], here, near_place, share * share):
                            owner = owners[y, x]
                            break
                        path[passed] = here
                        passed += 1
                if coordinates == 5:
                    _step_of_three(planes, height, width, radius, here, move)
                else:
                    _step_of_many(planes, height, width, radius, here, sums, move)
                length = (move[0] * move[0] + move[1] * move[1]) / (radius * radius)
                for i in range(coordinates):
                    here[i] += move[i]
                    if i >= 2:
                        length += move[i] * move[i]
                if length <= stop * stop:
                    break
            if owner < 0:
                owner = (row - top) * width + column
                modes[:, row, column] = here
            else:
                modes[:, row, column] = modes[:, top + owner // width, owner % width]
            for i in range(passed):
                y = int(path[i, 0] + np.float32(0.5)) - top
                x = int(path[i, 1] + np.float32(0.5))
                kept[y, x] = path[i]
                owners[y, x] = owner


@numba.njit(cache=True, nogil=True)
@no_type_check
def _is_near(
    first: Float32[np.ndarray, "coordinate"],
    second: Float32[np.ndarray, "coordinate"],
    place_limit: np.float32,
    color_limit: np.float32,
) -> bool:
    """Whether two points are near in place and in colour; both limits are squared."""
    place = (first[0] - second[0]) ** 2 + (first[1] - second[1]) ** 2
    if place > place_limit:
        return False
    color = _ZERO
    for i in range(2, first.size):
        color += (first[i] - second[i]) ** 2
    return color <= color_limit


@numba.njit(cache=True, nogil=True)
@no_type_check
def _step_of_three(
    planes: Float32[np.ndarray, "flat"],
    height: int,
    width: int,
    radius: np.float32,
    here: Float32[np.ndarray, "5"],
    move: Float32[np.ndarray, "5"],
) -> None:
    """From `here` to the mean of the window: eq. 20 of the paper for the uniform kernel.

    Differences are added up, not coordinates: float32 then loses nothing in flat regions. The
    window is taken in strips of as many columns as there are lanes, each from its top to its
    bottom, so that what depends on the column is worked out once for a strip.
    """
    stride = width + LANES
    plane = height * stride
    nothing = spread(_ZERO)
    count, row, column = nothing, nothing, nothing
    first, second, third = nothing, nothing, nothing
    here_first, here_second, here_third = spread(here[2]), spread(here[3]), spread(here[4])
    here_row, here_column = here[0], here[1]
    square = radius * radius
    left = max(0, int(np.ceil(here_column - radius)))
    right = min(width - 1, int(np.floor(here_column + radius)))
    for x in range(left, right + 1, LANES):
        begin = np.float32(x) - here_column
        dx = ramp() + spread(begin)
        # The strip is as high as at the column that is nearest to the middle.
        inner = max(_ZERO, begin, -begin - np.float32(LANES - 1))
        half = np.sqrt(max(_ZERO, square - inner * inner))
        top = max(0, int(np.ceil(here_row - half)))
        bottom = min(height - 1, int(np.floor(here_row + half)))
        dx_square = dx * dx
        here_many = nothing
        for y in range(top, bottom + 1):
            place = y * stride + x
            dy = np.float32(y) - here_row
            a = load(planes, place) - here_first
            b = load(planes, place + plane) - here_second
            c = load(planes, place + 2 * plane) - here_third
            near = where_at_most(spread(_ONE), a * a + b * b + c * c, spread(_ONE))
            near = where_at_most(near, dx_square, spread(square - dy * dy))
            here_many = here_many + near
            row = row + near * spread(dy)
            first = first + near * a
            second = second + near * b
            third = third + near * c
        count = count + here_many
        column = column + here_many * dx
    share = _ONE / across(count)
    move[0] = across(row) * share
    move[1] = across(column) * share
    move[2] = across(first) * share
    move[3] = across(second) * share
    move[4] = across(third) * share


@numba.njit(cache=True, nogil=True)
@no_type_check
def _step_of_many(
    planes: Float32[np.ndarray, "flat"],
    height: int,
    width: int,
    radius: np.float32,
    here: Float32[np.ndarray, "coordinate"],
    sums: Float32[np.ndarray, "flat"],
    move: Float32[np.ndarray, "coordinate"],
) -> None:
    """`_step_of_three` for any number of channels."""
    stride = width + LANES
    sums[:] = _ZERO
    count, row, column = _ZERO, _ZERO, _ZERO
    top = max(0, int(np.ceil(here[0] - radius)))
    bottom = min(height - 1, int(np.floor(here[0] + radius)))
    for y in range(top, bottom + 1):
        dy = np.float32(y) - here[0]
        half = np.sqrt(max(_ZERO, radius * radius - dy * dy))
        left = max(0, int(np.ceil(here[1] - half)))
        right = min(width - 1, int(np.floor(here[1] + half)))
        found, places = _add_run(
            planes, height * stride, y * stride + left, right + 1 - left, here[2:], sums
        )
        count += found
        row += found * dy
        column += places + found * (np.float32(left) - here[1])
    share = _ONE / count
    move[0] = row * share
    move[1] = column * share
    for i in range(2, here.size):
        move[i] = across(load(sums, (i - 2) * LANES)) * share


@numba.njit(cache=True, nogil=True)
@no_type_check
def _add_run(
    planes: Float32[np.ndarray, "flat"],
    plane: int,
    start: int,
    length: int,
    here: Float32[np.ndarray, "dimension"],
    sums: Float32[np.ndarray, "flat"],
) -> tuple[np.float32, np.float32]:
    """Add up how far those within 1 of `here` are from it, over a run of the planes.

    Returns:
        How many they are, and the sum of their places in the run.
    """
    count, places = spread(_ZERO), spread(_ZERO)
    for begin in range(0, length, LANES):
        distance = spread(_ZERO)
        for i in range(here.size):
            difference = load(planes, i * plane + start + begin) - spread(here[i])
            distance = distance + difference * difference
        inside = spread(np.float32(length - 1 - begin))
        near = where_at_most(spread(_ONE), distance, spread(_ONE))
        near = where_at_most(near, ramp(), inside)
        if across(near) == _ZERO:
            continue
        count = count + near
        places = places + near * (ramp() + spread(np.float32(begin)))
        for i in range(here.size):
            difference = load(planes, i * plane + start + begin) - spread(here[i])
            store(sums, i * LANES, load(sums, i * LANES) + near * difference)
    return across(count), across(places)


@numba.njit(cache=True, parallel=True, nogil=True)
@no_type_check
def _shift_points(
    planes: Float32[np.ndarray, "flat"],
    ordered: Float32[np.ndarray, "point"],
    widest: int,
    stop: np.float32,
    most: int,
    modes: Float32[np.ndarray, "point dimension"],
) -> None:
    for point in numba.prange(modes.shape[0]):
        _shift_point(planes, ordered, widest, stop, most, point, modes[point])


@numba.njit(cache=True, nogil=True)
@no_type_check
def _shift_point(
    planes: Float32[np.ndarray, "flat"],
    ordered: Float32[np.ndarray, "point"],
    widest: int,
    stop: np.float32,
    most: int,
    point: int,
    here: Float32[np.ndarray, "dimension"],
) -> None:
    """Follow one point; `here` becomes its mode."""
    plane = ordered.size + LANES
    sums = np.empty(here.size * LANES, np.float32)
    for i in range(here.size):
        here[i] = planes[i * plane + point]
    for _ in range(most):
        sums[:] = _ZERO
        begin = np.searchsorted(ordered, here[widest] - _ONE, side="left")
        end = np.searchsorted(ordered, here[widest] + _ONE, side="right")
        count, _places = _add_run(planes, plane, begin, end - begin, here, sums)
        length = _ZERO
        for i in range(here.size):
            move = across(load(sums, i * LANES)) / count
            here[i] += move
            length += move * move
        if length <= stop * stop:
            break
