"""Whole figures from several pictures: what previews and reports show."""

from collections.abc import Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor

from segscape.ops.resize import resize_image, resize_labels
from segscape.structures import LabelMap, StructureError
from segscape.visualize.lettering import PAPER
from segscape.visualize.overlay import difference, legend, overlay, side_by_side


def as_rgb(image: UInt8[Tensor, "channel height width"]) -> UInt8[Tensor, "3 height width"]:
    """Show an image of any number of channels: the first three, or the first as grey.

    >>> as_rgb(torch.zeros(1, 4, 6, dtype=torch.uint8)).shape
    torch.Size([3, 4, 6])
    """
    return image[:3] if image.shape[0] >= 3 else image[:1].expand(3, -1, -1)


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
    image: UInt8[Tensor, "channel _ _"], longest_side: int
) -> UInt8[Tensor, "channel height width"]:
    """Shrink an image to at most so many pixels on its longest side, by averaging."""
    return resize_image(image.cpu(), _shrunk(image.shape[1], image.shape[2], longest_side))


def smaller_labels(label_map: LabelMap, longest_side: int) -> LabelMap:
    """Shrink a label map likewise, by the nearest pixel."""
    size = _shrunk(*label_map.size, longest_side)
    return LabelMap(resize_labels(label_map.labels.cpu(), size), label_map.taxonomy)


def _shrunk(height: int, width: int, longest_side: int) -> tuple[int, int]:
    factor = min(1.0, longest_side / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))
