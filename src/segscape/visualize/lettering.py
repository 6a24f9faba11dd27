"""Words on pictures, in the one typeface that Pillow carries with itself."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from segscape.structures import Size

INK = (28, 32, 38)
PAPER = (255, 255, 255)
POINTS = 14
ELLIPSIS = "..."


def text_size(text: str) -> Size:
    """Height and width in pixels that a line of text takes."""
    left, _, right, _ = _font().getbbox(_one_line(text))
    ascent, descent = _metrics()
    return Size(ascent + descent, round(right - left) + 1)


def letter(
    picture: UInt8[Tensor, "3 height width"], text: str, top: int, left: int
) -> UInt8[Tensor, "3 height width"]:
    """Write one line of text in ink and return a new picture.

    Args:
        picture: 0..255.
        text: shortened with an ellipsis where it would leave the picture; line breaks become
            spaces.
        top: row of the line's upper edge.
        left: column of its left edge.
    """
    canvas = Image.fromarray(np.ascontiguousarray(picture.permute(1, 2, 0).numpy()))
    room = picture.shape[2] - left
    ImageDraw.Draw(canvas).text((left, top), _shorten(text, room), fill=INK, font=_font())
    return torch.from_numpy(np.array(canvas)).permute(2, 0, 1).contiguous()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _shorten(text: str, room: int) -> str:
    line = _one_line(text)
    if not line or text_size(line).width <= room:
        return line
    kept = len(line)
    while kept and text_size(line[:kept] + ELLIPSIS).width > room:
        kept -= 1
    return line[:kept] + ELLIPSIS if kept else ""


@lru_cache(maxsize=1)
def _font() -> Any:  # noqa: ANN401 - Pillow returns one of two classes by how it was built
    return ImageFont.load_default(POINTS)


def _metrics() -> tuple[int, int]:
    return _font().getmetrics() if hasattr(_font(), "getmetrics") else (11, 3)
