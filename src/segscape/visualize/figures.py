"""Whole figures from several pictures: what previews and reports show."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from segscape.ops.resize import resize_image, resize_labels
from segscape.structures import LabelMap, StructureError
from segscape.visualize.lettering import PAPER
from segscape.visualize.overlay import difference, legend, overlay, side_by_side

# Values that are sorted to find the darkest and the brightest.
_MOST_RANKED = 1_000_000


def as_rgb(image: Shaped[Tensor, "channel height width"]) -> UInt8[Tensor, "3 height width"]:
    """Show an image of any number of channels: the first three, or the first as grey.

    Args:
        image: uint8 is shown as it is; of other types 0.1 % of the values become black and as many
            white, since what lies between differs from camera to camera; all finite.

    >>> as_rgb(torch.zeros(1, 4, 6, dtype=torch.uint8)).shape
    torch.Size([3, 4, 6])
    """
    colors = image[:3] if image.shape[0] >= 3 else image[:1].expand(3, -1, -1)
    if image.dtype == torch.uint8:
        return colors
    values = colors.cpu().double().numpy()
    every = max(1, values.size // _MOST_RANKED)
    low, high = np.percentile(values.ravel()[::every], (0.1, 99.9))
    if low == high:  # nearly all the same
        low, high = values.min(), values.max()
    shares = (values - low) / (high - low) if high > low else np.full_like(values, 0.5)
    return torch.from_numpy(np.rint(255 * shares.clip(0, 1)).astype(np.uint8))


def comparison(
    image: UInt8[Tensor, "channel height width"],
    prediction: LabelMap,
    target: LabelMap,
    *,
    caption: str = "",
    opacity: float = 0.7,
) -> UInt8[Tensor, "3 _ _"]:
    """Image, truth, prediction and difference in one row.

    Args:
        image: 0..255.
        prediction: of the image's size.
        target: of the image's size.
        caption: names the image, as its key.
        opacity: of the colours over the image.

    Raises:
        StructureError: when sizes or taxonomies differ.
    """
    shown = as_rgb(image)
    return side_by_side(
        [
            shown,
            overlay(shown, target, opacity=opacity),
            overlay(shown, prediction, opacity=opacity),
            difference(prediction, target),
        ],
        captions=[caption or "image", "truth", "prediction", "wrong in red"],
    )


def stacked(
    pictures: Sequence[UInt8[Tensor, "3 _ _"]], *, gap: int = 8
) -> UInt8[Tensor, "3 height width"]:
    """Put pictures under one another on white, aligned at the left.

    Args:
        pictures: of any sizes.
        gap: white pixels between two pictures.

    Raises:
        StructureError: when there is no picture.
    """
    if not pictures:
        raise StructureError("stacked got no picture: give at least one")
    width = max(picture.shape[2] for picture in pictures)
    paper = torch.tensor(PAPER, dtype=torch.uint8)[:, None, None]
    rows: list[Tensor] = []
    for position, picture in enumerate(pictures):
        if position:
            rows.append(paper.expand(3, gap, width))
        row = paper.repeat(1, picture.shape[1], width)
        row[:, :, : picture.shape[2]] = picture.cpu()
        rows.append(row)
    return torch.cat(rows, 1)


def preview(
    rows: Sequence[tuple[str, UInt8[Tensor, "_ _ _"], LabelMap, LabelMap]],
    *,
    longest_side: int = 320,
) -> UInt8[Tensor, "3 height width"]:
    """Compare several images with their truth on one sheet, with a legend below.

    Args:
        rows: key, image, prediction and truth of each.
        longest_side: images are made smaller to this many pixels, never larger.

    Raises:
        StructureError: when there is no row, or sizes or taxonomies differ.
    """
    if not rows:
        raise StructureError("preview got no row: give at least one image")
    sheets = [
        comparison(
            smaller(image, longest_side),
            smaller_labels(prediction, longest_side),
            smaller_labels(target, longest_side),
            caption=key,
        )
        for key, image, prediction, target in rows
    ]
    names = legend(rows[0][3].taxonomy, columns=min(6, len(rows[0][3].taxonomy) + 1))
    return stacked([*sheets, names])


def smaller(
    image: Shaped[Tensor, "channel _ _"], longest_side: int
) -> Shaped[Tensor, "channel height width"]:
    """Shrink an image, uint8 or float32, to at most so many pixels on its longest side."""
    return resize_image(image.cpu(), _shrunk(image.shape[1], image.shape[2], longest_side))


def smaller_labels(label_map: LabelMap, longest_side: int) -> LabelMap:
    """Shrink a label map likewise, by the nearest pixel."""
    size = _shrunk(*label_map.size, longest_side)
    return LabelMap(resize_labels(label_map.labels.cpu(), size), label_map.taxonomy)


def _shrunk(height: int, width: int, longest_side: int) -> tuple[int, int]:
    factor = min(1.0, longest_side / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))
