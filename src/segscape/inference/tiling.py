"""Prediction by overlapping windows: images of any size, memory bounded by the window.

The overlap-tile strategy of Ronneberger, Fischer and Brox, 2015 (arXiv:1505.04597, sec. 2 and
fig. 2: context beyond the border is mirrored), with the shared pixels blended in score space.

An axis is cut into equal cells, and each cell is seen through a window that reaches `margin`
pixels beyond it on both sides; two neighbours share `2 * margin` pixels around the border of their
cells, and no pixel of an axis is seen by more than two windows:

    cells         |---- 0 ----|---- 1 ----|---- 2 ----|
    window 1                <==================>
    blended                 <-->         <-->
    finished with 1             ~~~~~~~~~~   and the blended pixels on its left

Windows go by in reading order. What the next row still adds to is kept in strips of `overlap`
rows, on disk when they are many (strips.py), so the memory does not grow with the image. The
alternative, predicting neighbours again for each block, needs no strips but up to four times the
computation. The strips are added in one fixed order: the streaming form and the form in memory
run the same code and agree to the bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from segscape.inference.blending import BlendingWindow, hann
from segscape.inference.mirror import ImageReader, TensorReader, read_mirrored
from segscape.inference.strips import Strips
from segscape.structures import Size, StructureError


@runtime_checkable
class Score(Protocol):
    """Scores of an image or a window of one."""

    def __call__(
        self, image: UInt8[Tensor, "channel height width"], /
    ) -> Float[Tensor, "category height width"]:
        """One score map in [0, 1] per category, of the image's size."""
        ...


def tiled(
    score_window: Score,
    image: ImageReader | UInt8[Tensor, "channel height width"],
    *,
    tile: Size,
    overlap: int,
    window: BlendingWindow = hann,
    align: int = 1,
) -> Float[Tensor, "category height width"]:
    """Score an image through overlapping windows; the scores are in memory as a whole.

    Args:
        score_window: scores one window; called in reading order, once per window.
        image: pixels, or a reader of them.
        tile: the largest window in pixels; windows are made equal, so most are a little smaller.
            An axis that fits into it is not cut, and gets no mirrored border.
        overlap: pixels that neighbouring windows share, at most half the tile; an odd one is
            rounded down. The border is mirrored by half of it.
        window: weights over the shared pixels.
        align: windows start at multiples of this from each other, where the tile has room for it:
            the stride of the network, so that pooling falls on the same pixels in each window.

    Returns:
        Scores on the device of `score_window`.

    Raises:
        StructureError: when tile or overlap cannot be used.

    >>> def brightness(image): return image[:1] / 255
    >>> image = torch.arange(240, dtype=torch.uint8).reshape(1, 12, 20)
    >>> scores = tiled(brightness, image, tile=Size(8, 8), overlap=4)
    >>> torch.allclose(scores, brightness(image))
    True
    """
    reader = TensorReader(image) if isinstance(image, Tensor) else image
    rows, columns = _cut_both(reader.size, tile, overlap, align)
    canvas: Tensor | None = None
    for top, left, scores in _blocks(score_window, reader, rows, columns, window):
        if canvas is None:
            canvas = scores.new_empty(scores.shape[0], *reader.size)
        canvas[:, top : top + scores.shape[1], left : left + scores.shape[2]] = scores
    if canvas is None:
        raise StructureError("tiled got an image without pixels: images are at least 1 x 1")
    return canvas


def tiled_labels(
    score_window: Score,
    image: ImageReader | UInt8[Tensor, "channel height width"],
    *,
    tile: Size,
    overlap: int,
    window: BlendingWindow = hann,
    align: int = 1,
) -> Iterator[tuple[int, Integer[Tensor, "band width"]]]:
    """Label an image of any size: finished horizontal bands, from the top down.

    Never more in memory than one window's pixels and scores, 256 MB of strips and one band of
    labels. The labels are those of the highest score of `tiled` with the same arguments.

    Yields:
        The first row of a band and its labels, `uint8` up to 255 categories, `int32` beyond.

    Raises:
        StructureError: when tile or overlap cannot be used.
    """
    reader = TensorReader(image) if isinstance(image, Tensor) else image
    rows, columns = _cut_both(reader.size, tile, overlap, align)
    return _bands(_blocks(score_window, reader, rows, columns, window), reader.size.width)


def _bands(
    blocks: Iterator[tuple[int, int, Tensor]], width: int
) -> Iterator[tuple[int, Integer[Tensor, "band width"]]]:
    band: list[Tensor] = []
    for top, left, scores in blocks:
        kind = torch.uint8 if scores.shape[0] <= 255 else torch.int32
        # On a CPU `max` is up to seven times faster than `argmax`; both take the first of equals.
        band.append(scores.max(0).indices.to(kind).cpu())
        if left + scores.shape[2] == width:
            yield top, torch.cat(band, 1)
            band = []


@dataclass(frozen=True)
class _Axis:
    """Rows or columns cut into equal cells, seen through windows that reach beyond them."""

    length: int
    cell: int
    margin: int

    @property
    def count(self) -> int:
        return -(-self.length // self.cell)

    def window_start(self, index: int) -> int:
        """May be negative: pixels before the border are mirrored ones."""
        return index * self.cell - self.margin

    @property
    def window_length(self) -> int:
        return self.cell + 2 * self.margin

    def finished(self, index: int) -> tuple[int, int]:
        """The pixels that nothing is added to after this window: start and stop."""
        start = max(0, self.window_start(index))
        last = index == self.count - 1
        return start, self.length if last else self.window_start(index + 1)


def _cut_both(size: Size, tile: Size, overlap: int, align: int) -> tuple[_Axis, _Axis]:
    if min(tile) < 1 or overlap < 0 or 2 * overlap > min(tile):
        raise StructureError(
            f"tile {tile.height} x {tile.width} with overlap {overlap}: give a tile of at least "
            "1 x 1 pixels and an overlap between 0 and half its shorter side"
        )
    return (
        _cut(size.height, tile.height, overlap // 2, align),
        _cut(size.width, tile.width, overlap // 2, align),
    )


def _cut(length: int, tile: int, margin: int, align: int) -> _Axis:
    if length <= tile:
        return _Axis(length, cell=length, margin=0)
    largest = tile - 2 * margin
    if largest // align * align >= max(2 * margin, 1):
        largest = largest // align * align
    else:
        align = 1
    equal = -(-length // -(-length // largest))  # as many cells, none mostly beyond the border
    # Not below the overlap, or three windows would see one pixel.
    return _Axis(length, cell=max(-(-equal // align) * align, 2 * margin), margin=margin)


def _blocks(
    score_window: Score,
    reader: ImageReader,
    rows: _Axis,
    columns: _Axis,
    window: BlendingWindow,
) -> Iterator[tuple[int, int, Tensor]]:
    """Yield top, left and finished scores of blocks that cover the image, in reading order."""
    row_ramp, column_ramp = window(2 * rows.margin), window(2 * columns.margin)
    with Strips() as above:
        for i in range(rows.count):
            top, bottom = (edge - rows.window_start(i) for edge in rows.finished(i))
            beside: Tensor | None = None
            for j in range(columns.count):
                start, stop = (edge - columns.window_start(j) for edge in columns.finished(j))
                pixels = read_mirrored(
                    reader,
                    rows.window_start(i),
                    columns.window_start(j),
                    rows.window_length,
                    columns.window_length,
                )
                scores = _weighed(score_window(pixels), rows, i, row_ramp, 1)
                scores = _weighed(scores, columns, j, column_ramp, 2)
                if beside is not None:
                    scores[:, :, : 2 * columns.margin] += beside
                # Before the row above is added: each of its pixels belongs to one block alone.
                beside = scores[:, :, stop:] if j + 1 < columns.count else None
                block = scores[:, :, start:stop]
                if i > 0:
                    block[:, : 2 * rows.margin] += above.take(j).to(block.device)
                if i + 1 < rows.count:
                    above.put(j, block[:, bottom:])
                yield rows.finished(i)[0], columns.finished(j)[0], block[:, top:bottom]


def _weighed(scores: Tensor, axis: _Axis, index: int, ramp: Tensor, dimension: int) -> Tensor:
    """Multiply by the rising weights at the start and the falling ones at the end of an axis."""
    if axis.count == 1 or axis.margin == 0:
        return scores
    weights = torch.ones(axis.window_length)
    if index > 0:
        weights[: len(ramp)] = ramp
    if index + 1 < axis.count:
        weights[axis.cell :] = 1 - ramp
    shape = [1, 1, 1]
    shape[dimension] = -1
    return scores * weights.to(scores).reshape(shape)
