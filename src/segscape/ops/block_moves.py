"""Superpixels grown from a grid by moving blocks, then pixels, between neighbours.

After J. Yao, M. Boben, S. Fidler, R. Urtasun: Real-time coarse-to-fine topologically preserving
segmentation, CVPR 2015.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32
from numpy import ndarray

from segscape.ops.superpixel_grid import superpixel_grid

# A superpixel never shrinks below this share of the average.
_LEAST_SHARE = 1 / 16
# Each block is looked at so often at most, on average: what is left then hardly matters.
_MOST_LOOKS = 20


def coarse_to_fine(
    pixels: Float32[ndarray, "channel height width"],
    count: int,
    *,
    nearness: float,
    border: float,
) -> Int32[ndarray, "height width"]:
    """Minimise, over partitions into `count` connected regions, the energy of the paper.

    It is the sum over pixels of d_color^2 + nearness d_xy^2 to the mean of their region, plus
    `border` for each two of eight neighbours that lie in different regions. Blocks of 2^n pixels
    move first, those of half the side next, single pixels last; a move is made when it lowers the
    energy and leaves both regions connected.

    Args:
        pixels: colours, or any features.
        count: 1..pixels.
        nearness: weight of the squared distance in pixels; 0 or more.
        border: weight of the borders' length; 0 or more.

    Raises:
        ValueError: for any other count.

    >>> pixels = np.zeros((1, 4, 8), np.float32)
    >>> pixels[:, :, 3:] = 100
    >>> coarse_to_fine(pixels, 2, nearness=1.0, border=1.0)[0].tolist()
    [0, 0, 0, 1, 1, 1, 1, 1]
    """
    _, height, width = pixels.shape
    if not 1 <= count <= height * width:
        raise ValueError(f"{count} regions were asked of {height} x {width} pixels")
    pyramid = [_features(pixels)]
    side = (height * width / count) ** 0.5
    while 2 ** len(pyramid) <= side / 2 and _blocks(pyramid[-1]) >= 4 * count:
        pyramid.append(_halved(pyramid[-1]))
    rows, columns = pyramid[-1].shape[:2]
    labels = superpixel_grid(rows, columns, count).labels
    least = _LEAST_SHARE * height * width / count
    for level in range(len(pyramid) - 1, -1, -1):
        blocks = pyramid[level]
        rows, columns = blocks.shape[:2]
        if labels.shape != (rows, columns):
            labels = labels.repeat(2, 0).repeat(2, 1)[:rows, :columns].copy()
        sums = np.zeros((count, blocks.shape[2]))
        _add_up(blocks, labels, sums)
        # A border between blocks is as long as their side.
        _move(blocks, labels, sums, float(nearness), float(border) * 2**level, least)
    return labels


def _features(
    pixels: Float32[ndarray, "channel height width"],
) -> Float32[ndarray, "height width feature"]:
    """1, y, x and the colours of each pixel: what is summed over blocks and regions."""
    _, height, width = pixels.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.ascontiguousarray(np.stack([np.ones_like(x), y, x, *pixels], axis=2))


def _halved(blocks: Float32[ndarray, "rows columns feature"]) -> Float32[ndarray, "_ _ feature"]:
    """Sums over 2 x 2 blocks, fewer at the right and the bottom."""
    rows, columns = blocks.shape[:2]
    even = np.pad(blocks, ((0, rows % 2), (0, columns % 2), (0, 0)))
    return np.ascontiguousarray(
        even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    )


def _blocks(blocks: Float32[ndarray, "rows columns feature"]) -> int:
    """How many there will be one level up."""
    return -(-blocks.shape[0] // 2) * -(-blocks.shape[1] // 2)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _add_up(
    blocks: Float32[ndarray, "rows columns feature"],
    labels: Int32[ndarray, "rows columns"],
    sums: Float64[ndarray, "region feature"],
) -> None:
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            for feature in range(blocks.shape[2]):
                sums[labels[y, x], feature] += blocks[y, x, feature]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _move(
    blocks: Float32[ndarray, "rows columns feature"],
    labels: Int32[ndarray, "rows columns"],
    sums: Float64[ndarray, "region feature"],
    nearness: float,
    border: float,
    least: float,
) -> None:
    """Algorithm 1 of the paper at one level: a queue of the blocks at borders."""
    rows, columns, features = blocks.shape
    waiting = np.zeros((rows, columns), np.bool_)
    queue = np.empty(rows * columns, np.int32)
    start = length = 0
    for y in range(rows):
        for x in range(columns):
            if _at_border(labels, y, x):
                waiting[y, x] = True
                queue[length] = y * columns + x
                length += 1
    looks = _MOST_LOOKS * rows * columns
    while length > 0 and looks > 0:
        looks -= 1
        y, x = queue[start] // columns, queue[start] % columns
        start = (start + 1) % queue.size
        length -= 1
        waiting[y, x] = False
        own = labels[y, x]
        size = blocks[y, x, 0]
        if sums[own, 0] - size < least or not _can_leave(labels, y, x):
            continue
        cost = _cost(blocks, labels, sums, y, x, own, nearness, border)
        best = own
        for to_y, to_x in ((y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)):
            if 0 <= to_y < rows and 0 <= to_x < columns and labels[to_y, to_x] != own:
                other = labels[to_y, to_x]
                found = _cost(blocks, labels, sums, y, x, other, nearness, border)
                # Not for what rounding makes of equal costs: the queue would never end.
                if found < cost * (1 - 1e-9):
                    cost, best = found, other
        if best == own:
            continue
        labels[y, x] = best
        for feature in range(features):
            sums[own, feature] -= blocks[y, x, feature]
            sums[best, feature] += blocks[y, x, feature]
        for to_y, to_x in ((y, x), (y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)):
            if to_y < 0 or to_y >= rows or to_x < 0 or to_x >= columns:
                continue
            if not waiting[to_y, to_x] and _at_border(labels, to_y, to_x):
                waiting[to_y, to_x] = True
                queue[(start + length) % queue.size] = to_y * columns + to_x
                length += 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _at_border(labels: Int32[ndarray, "rows columns"], y: int, x: int) -> bool:
    rows, columns = labels.shape
    own = labels[y, x]
    return (
        (y > 0 and labels[y - 1, x] != own)
        or (x > 0 and labels[y, x - 1] != own)
        or (x + 1 < columns and labels[y, x + 1] != own)
        or (y + 1 < rows and labels[y + 1, x] != own)
    )


@numba.njit(cache=True, nogil=True)
@no_type_check
def _can_leave(labels: Int32[ndarray, "rows columns"], y: int, x: int) -> bool:
    """Whether the region stays connected without this block, as seen from its 8 neighbours.

    Going round, its neighbours over edges must form one run; a corner joins two of them.
    """
    own = labels[y, x]
    runs = 0
    for turn in range(4):
        down, right = (turn == 2) - (turn == 0), (turn == 1) - (turn == 3)
        if not _is(labels, y + down, x + right, own):
            continue
        # Clockwise, the corner after it, then the next neighbour over an edge.
        next_down, next_right = right, -down
        corner = _is(labels, y + down + next_down, x + right + next_right, own)
        if not (corner and _is(labels, y + next_down, x + next_right, own)):
            runs += 1
    return runs == 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _is(labels: Int32[ndarray, "rows columns"], y: int, x: int, label: int) -> bool:
    return 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1] and labels[y, x] == label


@numba.njit(cache=True, nogil=True)
@no_type_check
def _cost(
    blocks: Float32[ndarray, "rows columns feature"],
    labels: Int32[ndarray, "rows columns"],
    sums: Float64[ndarray, "region feature"],
    y: int,
    x: int,
    label: int,
    nearness: float,
    border: float,
) -> float:
    """What the block costs in a region, up to what it costs in any."""
    size = blocks[y, x, 0]
    total = 0.0
    for feature in range(1, blocks.shape[2]):
        gap = blocks[y, x, feature] / size - sums[label, feature] / sums[label, 0]
        total += (nearness if feature <= 2 else 1.0) * gap * gap
    apart = 0
    for to_y in range(max(y - 1, 0), min(y + 2, labels.shape[0])):
        for to_x in range(max(x - 1, 0), min(x + 2, labels.shape[1])):
            apart += labels[to_y, to_x] != label and (to_y != y or to_x != x)
    return size * total + border * apart
