"""Regions made connected (over edges, 4 neighbours), and made as many as were asked for.

Connected components by union-find over the runs of rows: Rosenfeld and Pfaltz 1966, "Sequential
operations in digital picture processing" (doi:10.1145/321356.321357).
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Bool, Float32, Int32
from numpy import ndarray

# Marks of pixels whose region is not known yet.
_LOOSE, _QUEUED = np.int32(-1), np.int32(-2)


def connected_regions(labels: Int32[ndarray, "height width"]) -> Int32[ndarray, "height width"]:
    """Give each connected piece of each label an id of its own, 0..n-1 in reading order.

    Args:
        labels: any ids.

    >>> connected_regions(np.array([[7, 7, 3], [3, 7, 3]], np.int32)).tolist()
    [[0, 0, 1], [2, 0, 1]]
    """
    return _pieces(labels)[0]


def exactly(
    labels: Int32[ndarray, "height width"],
    count: int,
    pixels: Float32[ndarray, "channel height width"],
) -> Int32[ndarray, "height width"]:
    """Make labels into exactly `count` connected regions, 0..count-1 in reading order.

    The `count` largest pieces of labels stay. The pixels of the others join, from their rim
    inward, the region of the neighbour that is nearest in colour. When there are fewer pieces, the
    largest is parted in two about equal ones, each connected, until there are enough.

    Args:
        labels: any ids.
        count: 1..pixels.
        pixels: colours, or any features.

    Raises:
        ValueError: for any other count.

    >>> gray = np.zeros((1, 2, 3), np.float32)
    >>> exactly(np.array([[7, 7, 3], [7, 7, 7]], np.int32), 1, gray).tolist()
    [[0, 0, 0], [0, 0, 0]]
    >>> exactly(np.zeros((2, 3), np.int32), 2, gray).tolist()
    [[0, 1, 1], [0, 1, 1]]
    """
    if not 1 <= count <= labels.size:
        raise ValueError(f"{count} regions were asked of {labels.size} pixels")
    pieces, areas = _pieces(labels)
    if areas.size == count:
        return pieces
    if areas.size > count:
        kept = np.zeros(areas.size, np.bool_)
        kept[np.argsort(-areas, kind="stable")[:count]] = True
        _absorb(pixels, pieces, kept)
    else:
        _part(pieces, areas, count)
    return _renumbered(pieces)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _root(parents: Int32[ndarray, " run"], run: int) -> int:
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run


@numba.njit(cache=True, nogil=True)
@no_type_check
def _pieces(
    labels: Int32[ndarray, "height width"],
) -> tuple[Int32[ndarray, "height width"], Int32[ndarray, " piece"]]:
    """Connected pieces in reading order, and their areas."""
    height, width = labels.shape
    runs = np.empty((height, width), np.int32)
    parents = np.empty(height * width, np.int32)
    count = 0
    for y in range(height):
        fresh = True
        for x in range(width):
            if x == 0 or labels[y, x] != labels[y, x - 1]:
                parents[count] = count
                count += 1
                fresh = True
            runs[y, x] = count - 1
            if y > 0 and labels[y, x] == labels[y - 1, x]:
                # Along a run, only where the run above begins anew.
                if fresh or runs[y - 1, x] != runs[y - 1, x - 1]:
                    one, other = _root(parents, count - 1), _root(parents, runs[y - 1, x])
                    parents[max(one, other)] = min(one, other)
                fresh = False
            else:
                fresh = True
    ids = np.empty(count, np.int32)
    pieces = 0
    for run in range(count):
        if parents[run] == run:
            ids[run] = pieces
            pieces += 1
        else:
            ids[run] = ids[parents[run]]
    areas = np.zeros(pieces, np.int32)
    for y in range(height):
        for x in range(width):
            runs[y, x] = ids[runs[y, x]]
            areas[runs[y, x]] += 1
    return runs, areas


@numba.njit(cache=True, nogil=True)
@no_type_check
def _renumbered(pieces: Int32[ndarray, "height width"]) -> Int32[ndarray, "height width"]:
    """Number the same regions in reading order, in place, without gaps."""
    ids = np.full(pieces.max() + 1, -1, np.int32)
    found = 0
    for y in range(pieces.shape[0]):
        for x in range(pieces.shape[1]):
            piece = pieces[y, x]
            if ids[piece] < 0:
                ids[piece] = found
                found += 1
            pieces[y, x] = ids[piece]
    return pieces


@numba.njit(cache=True, nogil=True)
@no_type_check
def _absorb(
    pixels: Float32[ndarray, "channel height width"],
    pieces: Int32[ndarray, "height width"],
    kept: Bool[ndarray, " piece"],
) -> None:
    """Give the pixels of pieces that are not kept to kept ones beside them, in place."""
    height, width = pieces.shape
    queue = np.empty(pieces.size, np.int32)
    end = 0
    for y in range(height):
        for x in range(width):
            if not kept[pieces[y, x]]:
                pieces[y, x] = _LOOSE
    for y in range(height):
        for x in range(width):
            if pieces[y, x] == _LOOSE and _likest(pixels, pieces, y, x) >= 0:
                queue[end] = y * width + x
                end += 1
    for i in range(end):
        pieces[queue[i] // width, queue[i] % width] = _QUEUED
    start = 0
    while start < end:
        y, x = queue[start] // width, queue[start] % width
        start += 1
        pieces[y, x] = _likest(pixels, pieces, y, x)
        for beside_y, beside_x in ((y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)):
            if beside_y < 0 or beside_y >= height or beside_x < 0 or beside_x >= width:
                continue
            if pieces[beside_y, beside_x] == _LOOSE:
                pieces[beside_y, beside_x] = _QUEUED
                queue[end] = beside_y * width + beside_x
                end += 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _likest(
    pixels: Float32[ndarray, "channel height width"],
    pieces: Int32[ndarray, "height width"],
    y: int,
    x: int,
) -> int:
    """The piece of the neighbour of nearest colour that has one, or -1."""
    height, width = pieces.shape
    least, found = np.inf, -1
    for beside_y, beside_x in ((y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)):
        if beside_y < 0 or beside_y >= height or beside_x < 0 or beside_x >= width:
            continue
        if pieces[beside_y, beside_x] >= 0:
            distance = 0.0
            for channel in range(pixels.shape[0]):
                gap = pixels[channel, y, x] - pixels[channel, beside_y, beside_x]
                distance += gap * gap
            if distance < least:
                least, found = distance, pieces[beside_y, beside_x]
    return found


@numba.njit(cache=True, nogil=True)
@no_type_check
def _part(
    pieces: Int32[ndarray, "height width"], areas: Int32[ndarray, " piece"], count: int
) -> None:
    """Part the largest piece in two, in place, until there are `count`.

    A tree is grown over the piece, breadth first; the branch that is nearest to half of it is cut
    off. Both parts are connected: the branch by the branch, the rest by the rest of the tree.
    """
    width = pieces.shape[1]
    sizes = np.zeros(count, np.int32)
    sizes[: areas.size] = areas
    roots = np.full(count, -1, np.int32)
    for place in range(pieces.size):
        piece = pieces[place // width, place % width]
        if roots[piece] < 0:
            roots[piece] = place
    places = np.empty(areas.max(), np.int32)
    parents = np.empty(areas.max(), np.int32)
    branches = np.empty(areas.max(), np.int32)
    for fresh in range(areas.size, count):
        piece = 0
        for other in range(fresh):
            if sizes[other] > sizes[piece]:
                piece = other
        size = sizes[piece]
        _grow_tree(pieces, piece, roots[piece], places, parents)
        for i in range(size):
            branches[i] = 1
        cut = size - 1
        for i in range(size - 1, 0, -1):
            branches[parents[i]] += branches[i]
            if abs(2 * branches[i] - size) <= abs(2 * branches[cut] - size):
                cut = i
        inside = branches
        for i in range(size):
            inside[i] = i == cut or (i > cut and inside[parents[i]] == 1)
            if inside[i] == 1:
                pieces[places[i] // width, places[i] % width] = fresh
                sizes[fresh] += 1
        sizes[piece] -= sizes[fresh]
        roots[fresh] = places[cut]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _grow_tree(
    pieces: Int32[ndarray, "height width"],
    piece: int,
    root: int,
    places: Int32[ndarray, " place"],
    parents: Int32[ndarray, " place"],
) -> None:
    """List the pixels of a piece, breadth first, and of each the position of its parent."""
    height, width = pieces.shape
    places[0], parents[0] = root, 0
    pieces[root // width, root % width] = _QUEUED
    start, end = 0, 1
    while start < end:
        y, x = places[start] // width, places[start] % width
        for beside_y, beside_x in ((y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)):
            if beside_y < 0 or beside_y >= height or beside_x < 0 or beside_x >= width:
                continue
            if pieces[beside_y, beside_x] == piece:
                pieces[beside_y, beside_x] = _QUEUED
                places[end], parents[end] = beside_y * width + beside_x, start
                end += 1
        start += 1
    for i in range(end):
        pieces[places[i] // width, places[i] % width] = piece
