"""Mirroring beyond the border, as often as it takes."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from segscape.structures import Size


def mirrored_positions(
    length: int, start: int, stop: int, device: torch.device | str = "cpu"
) -> Int64[Tensor, "position"]:
    """Positions inside a line of pixels that a mirror at both ends shows at start..stop-1.

    The pixel at the border is not repeated; a line shorter than the margin is mirrored to and fro.

    Args:
        length: pixels in the line, 1 or more.
        start: first place, negative before the line.
        stop: one past the last place.
        device: where the positions are wanted.

    >>> mirrored_positions(3, -4, 6).tolist()
    [0, 1, 2, 1, 0, 1, 2, 1, 0, 1]
    >>> mirrored_positions(1, -2, 2).tolist()
    [0, 0, 0, 0]
    """
    places = torch.arange(start, stop, device=device)
    if length == 1:
        return torch.zeros_like(places)
    period = 2 * (length - 1)
    wrapped = places.remainder(period)
    return torch.minimum(wrapped, period - wrapped)


def mirrored_tiles(
    pixels: Float[Tensor, "batch channel _ _"],
    sizes: Sequence[Size],
    *,
    margin: int,
    tile: tuple[int, int],
) -> Float[Tensor, "batch channel tile_height tile_width"]:
    """Continue each image beyond its own border, so that a network without padding covers it.

    What the batch holds beyond an image's true size is not read.

    Args:
        pixels: images from the top left corner on.
        sizes: the true size of each.
        margin: pixels of the tile above and left of the image.
        tile: height and width of the tiles.

    >>> row = torch.tensor([[[[1.0, 2.0, 3.0, 9.0]]]])
    >>> mirrored_tiles(row, [Size(1, 3)], margin=1, tile=(1, 6)).flatten().tolist()
    [2.0, 1.0, 2.0, 3.0, 2.0, 1.0]
    """
    return torch.stack(
        [
            image[:, mirrored_positions(size.height, -margin, tile[0] - margin, pixels.device)][
                :, :, mirrored_positions(size.width, -margin, tile[1] - margin, pixels.device)
            ]
            for image, size in zip(pixels, sizes, strict=True)
        ]
    )
