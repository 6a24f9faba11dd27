"""Receptive fields over an image: how far an output can see, and what it heeds."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from segscape.structures import StructureError
from segscape.visualize.lettering import INK, PAPER

HEAT = (255, 96, 0)


def draw_receptive_field(
    image: UInt8[Tensor, "3 height width"],
    strength: Float[Tensor, "_ _"],
    *,
    size: int | None,
    place: tuple[int, int] | None = None,
    opacity: float = 0.85,
) -> UInt8[Tensor, "3 height width"]:
    """Lay the effective receptive field over an image, and the theoretical one around it.

    Args:
        image: 0..255.
        strength: of each pixel, 0..1, as `effective_receptive_field` measures it. Its square root
            is shown, since most of a field is faint.
        size: side of the square that can be seen, in pixels; None for all of the image. It is
            drawn around the place, as far as it lies inside.
        place: row and column of the output; None for the middle.
        opacity: of the strongest colour, 0..1.

    Raises:
        StructureError: when the image and the strength have two sizes.
    """
    height, width = image.shape[1:]
    if tuple(strength.shape) != (height, width):
        raise StructureError(
            f"draw_receptive_field: the image is {height} x {width} but the strength "
            f"{tuple(strength.shape)}: measure it on this image"
        )
    heat = torch.tensor(HEAT, dtype=torch.float32)[:, None, None].expand(3, height, width)
    amount = strength.cpu().clamp(0, 1).sqrt() * opacity
    picture = torch.lerp(image.cpu().float(), heat, amount).round_().to(torch.uint8)
    row, column = place or (height // 2, width // 2)
    if size is not None:
        before = size // 2
        for inset, color in ((0, INK), (1, PAPER)):
            _frame(picture, row - before + inset, column - before + inset, size - 2 * inset, color)
    for inset, color in ((3, INK), (2, PAPER)):
        _frame(picture, row - inset, column - inset, 2 * inset + 1, color)
    return picture


def _frame(
    picture: UInt8[Tensor, "3 height width"],
    top: int,
    left: int,
    side: int,
    color: tuple[int, int, int],
) -> None:
    """Draw the outline of a square, as far as it lies inside, into the picture."""
    height, width = picture.shape[1:]
    ink = torch.tensor(color, dtype=torch.uint8)[:, None]
    bottom, right = top + side - 1, left + side - 1
    rows = slice(max(top, 0), max(min(bottom + 1, height), 0))
    columns = slice(max(left, 0), max(min(right + 1, width), 0))
    for row in {top, bottom}:
        if 0 <= row < height:
            picture[:, row, columns] = ink
    for column in {left, right}:
        if 0 <= column < width:
            picture[:, rows, column] = ink
