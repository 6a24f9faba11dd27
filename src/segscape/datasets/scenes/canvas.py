"""What is drawn on: colours and, for every pixel, what was drawn there last."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8
from numpy import ndarray

Plane = Float[ndarray, "_ _"]
Tint = Float[ndarray, "3"] | Float[ndarray, "_ _ 3"]


def plain(red: float, green: float, blue: float) -> Float32[ndarray, "3"]:
    """One colour, each part in 0..1."""
    return np.array((red, green, blue), np.float32)


@dataclass(frozen=True)
class Ink:
    """What a stroke means: category, part (a category of the part taxonomy) and instance id.

    Instance 0 is stuff.
    """

    category: int
    part: int
    instance: int = 0


@dataclass(frozen=True)
class Patch:
    """A window of the canvas: its rows and columns, and the pixel centres in them."""

    rows: slice
    columns: slice
    y: Float32[ndarray, "rows 1"]
    x: Float32[ndarray, "1 columns"]


class Canvas:
    """Colours in 0..1 with the category, part and instance of each pixel."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.color: Float32[ndarray, "height width 3"] = np.zeros((height, width, 3), np.float32)
        self.category: UInt8[ndarray, "height width"] = np.zeros((height, width), np.uint8)
        self.part: UInt8[ndarray, "height width"] = np.zeros((height, width), np.uint8)
        self.instance: Int32[ndarray, "height width"] = np.zeros((height, width), np.int32)

    def patch(self, left: float, top: float, right: float, bottom: float) -> Patch:
        """The window around a box in pixels, cut off at the canvas; it may be empty."""
        rows = slice(max(int(top) - 1, 0), max(min(int(bottom) + 2, self.height), 0))
        columns = slice(max(int(left) - 1, 0), max(min(int(right) + 2, self.width), 0))
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5)
        x = np.arange(columns.start, columns.stop, dtype=np.float32)[None] + np.float32(0.5)
        return Patch(rows, columns, y, x)

    def whole(self) -> Patch:
        """The window of everything."""
        return self.patch(0.0, 0.0, float(self.width), float(self.height))

    def paint(self, patch: Patch, distance: Plane, color: Tint, ink: Ink) -> None:
        """Draw where the distance to a shape's outline, in pixels, is negative.

        The colour fades over one pixel at the outline as in a photograph; the labels do not.
        """
        here = (patch.rows, patch.columns)
        cover = np.clip(np.float32(0.5) - distance, 0, 1)[..., None]
        self.color[here] += cover * (color - self.color[here])
        inside = distance < 0
        self.category[here][inside] = ink.category
        self.part[here][inside] = ink.part
        self.instance[here][inside] = ink.instance

    def shade(self, patch: Patch, factor: Plane) -> None:
        """Multiply colours, as a shadow does; what the pixels mean stays."""
        self.color[patch.rows, patch.columns] *= factor[..., None]
