"""Label maps as pictures: painted, laid over their image, or compared with the truth.

Everything here is a pure function from tensors to a picture of 0..255; nothing touches a screen.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from segscape.structures import LabelMap, StructureError, Taxonomy
from segscape.visualize.lettering import INK, PAPER, letter, text_size

Void = Literal["black", "hatched"]
Wrong = Literal["red", "predicted"]

# A red with much more luminance than what surrounds it, so that it does not rest on hue alone.
WRONG_COLOR = (255, 77, 77)
VOID_COLOR = (112, 112, 112)
HATCH = ((58, 58, 58), (90, 90, 90))
HATCH_PERIOD = 8


def paint(label_map: LabelMap, *, void: Void = "black") -> UInt8[Tensor, "3 height width"]:
    """Paint each pixel in its category's colour.

    Args:
        label_map: what to paint.
        void: how ignored pixels look; hatched where black is the colour of a category.

    >>> labels = torch.tensor([[1, 255]], dtype=torch.uint8)
    >>> paint(LabelMap(labels, Taxonomy.from_names(["sky", "road"])))[:, 0].T.tolist()
    [[128, 64, 128], [0, 0, 0]]
    """
    taxonomy = label_map.taxonomy
    colors = [category.color for category in taxonomy.categories] + [(0, 0, 0)]
    palette = torch.tensor(colors, dtype=torch.uint8)
    ignored = _ignored(label_map)
    index = label_map.labels.cpu().long().masked_fill(ignored, len(taxonomy))
    picture = palette[index].permute(2, 0, 1).contiguous()
    if void == "hatched" and bool(ignored.any()):
        picture = torch.where(ignored, _hatch(*ignored.shape), picture)
    return picture


def overlay(
    image: UInt8[Tensor, "3 height width"],
    label_map: LabelMap,
    *,
    opacity: float = 0.55,
    outline: bool = True,
) -> UInt8[Tensor, "3 height width"]:
    """Lay the colours of a label map over its image; ignored pixels show the image alone.

    Args:
        image: 0..255.
        label_map: of the image's size.
        opacity: of the colours, from 0 (image only) to 1 (colours only).
        outline: whether to draw a line of one pixel where categories meet, in a lighter tint of
            the category, so that neighbours of like colours stay apart.

    Raises:
        StructureError: when the sizes differ or the opacity is outside [0, 1].
    """
    if not 0 <= opacity <= 1:
        raise StructureError(f"overlay: opacity is {opacity}, expected a number from 0 to 1")
    if tuple(image.shape[1:]) != tuple(label_map.size):
        raise StructureError(
            f"overlay: the image is {tuple(image.shape[1:])} but its labels "
            f"{tuple(label_map.size)} pixels: resize one of them"
        )
    base, colors, shown = image.cpu(), paint(label_map), ~_ignored(label_map)
    picture = torch.where(shown, _mix(base, colors, opacity), base)
    if outline:
        lighter = _mix(colors, torch.full_like(colors, 255), 0.6)
        picture = torch.where(_borders(label_map) & shown, lighter, picture)
    return picture


def difference(
    prediction: LabelMap, target: LabelMap, *, wrong: Wrong = "red"
) -> UInt8[Tensor, "3 height width"]:
    """Show where a prediction leaves the truth.

    Right pixels are dim in their category's colour, wrong ones bright, pixels that the truth
    ignores grey.

    Args:
        prediction: of the target's size and taxonomy.
        target: the truth.
        wrong: the look of wrong pixels: all red, or in the colour of what was predicted.

    Raises:
        StructureError: when size or taxonomy differ.
    """
    if prediction.size != target.size:
        raise StructureError(
            f"difference: the prediction is {tuple(prediction.size)} but the truth "
            f"{tuple(target.size)} pixels: resize the prediction"
        )
    if prediction.taxonomy.names != target.taxonomy.names:
        raise StructureError(
            "difference: prediction and truth have different taxonomies: map the ids of one first"
        )
    judged = ~_ignored(target)
    missed = prediction.labels.cpu().long() != target.labels.cpu().long()
    truth = paint(target)
    grey = truth.float().mean(0, keepdim=True).expand(3, -1, -1).to(torch.uint8)
    dim = _mix(_mix(truth, grey, 0.6), torch.full_like(truth, 24), 0.72)
    loud = _flat(WRONG_COLOR) if wrong == "red" else paint(prediction)
    picture = torch.where(missed, loud, dim)
    return torch.where(judged, picture, _flat(VOID_COLOR))


def side_by_side(
    pictures: Sequence[UInt8[Tensor, "3 _ _"]],
    *,
    gap: int = 8,
    captions: Sequence[str] | None = None,
) -> UInt8[Tensor, "3 height width"]:
    """Put pictures in a row on white, aligned at the top.

    Args:
        pictures: of any sizes.
        gap: white pixels between two pictures.
        captions: one line above each picture, shortened to the picture's width.

    Raises:
        StructureError: when there is no picture, a negative gap, or not one caption per picture.
    """
    if not pictures:
        raise StructureError("side_by_side got no picture: give at least one")
    if gap < 0:
        raise StructureError(f"side_by_side: gap is {gap} pixels, expected 0 or more")
    if captions is not None and len(captions) != len(pictures):
        raise StructureError(
            f"side_by_side got {len(captions)} captions for {len(pictures)} pictures: give one each"
        )
    head = text_size("Ag").height + 6 if captions is not None else 0
    height = head + max(picture.shape[1] for picture in pictures)
    width = sum(picture.shape[2] for picture in pictures) + gap * (len(pictures) - 1)
    row = _paper(height, width)
    left = 0
    for position, picture in enumerate(pictures):
        right = left + picture.shape[2]
        row[:, head : head + picture.shape[1], left:right] = picture.cpu()
        if captions is not None:
            row[:, :head, left:right] = letter(row[:, :head, left:right], captions[position], 2, 2)
        left = right + gap
    return row


def legend(
    taxonomy: Taxonomy, *, columns: int = 1, void: bool = True
) -> UInt8[Tensor, "3 height width"]:
    """Draw a swatch and the name of each category, and of void.

    Args:
        taxonomy: the categories, in the order of their ids down the columns.
        columns: 1 or more.
        void: whether ignored pixels have an entry.

    Raises:
        StructureError: when there is no column.
    """
    if columns < 1:
        raise StructureError(f"legend: {columns} columns, expected 1 or more")
    names = [*taxonomy.names, *(["void"] if void else [])]
    colors: list[tuple[int, int, int] | None] = [c.color for c in taxonomy.categories]
    colors += [None] if void else []
    row = text_size("Ag").height + 8
    swatch = row - 6
    column = max(text_size(name).width for name in names) + swatch + 20
    rows = -(-len(names) // columns)
    picture = _paper(rows * row + 4, columns * column)
    for position, (name, color) in enumerate(zip(names, colors, strict=True)):
        top, left = position % rows * row + 4, position // rows * column + 4
        cell = picture[:, top : top + swatch, left : left + swatch]
        cell[:] = torch.tensor(INK, dtype=torch.uint8)[:, None, None]
        fill = _hatch(swatch, swatch) if color is None else _flat(color).expand_as(cell)
        cell[:, 1:-1, 1:-1] = fill[:, 1:-1, 1:-1]
        picture = letter(picture, name, top - 1, left + swatch + 6)
    return picture


def _ignored(label_map: LabelMap) -> Bool[Tensor, "height width"]:
    return label_map.ignored().cpu()


def _borders(label_map: LabelMap) -> Bool[Tensor, "height width"]:
    labels: Int64[Tensor, "height width"] = label_map.labels.cpu().long()
    borders = torch.zeros_like(labels, dtype=torch.bool)
    borders[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    borders[:-1] |= labels[:-1] != labels[1:]
    return borders


def _mix(
    below: UInt8[Tensor, "3 height width"], above: UInt8[Tensor, "3 height width"], amount: float
) -> UInt8[Tensor, "3 height width"]:
    return torch.lerp(below.float(), above.float(), amount).round_().to(torch.uint8)


def _flat(color: tuple[int, int, int]) -> UInt8[Tensor, "3 1 1"]:
    return torch.tensor(color, dtype=torch.uint8)[:, None, None]


def _paper(height: int, width: int) -> UInt8[Tensor, "3 height width"]:
    return _flat(PAPER).repeat(1, height, width)


def _hatch(height: int, width: int) -> UInt8[Tensor, "3 height width"]:
    stripe = (torch.arange(height)[:, None] + torch.arange(width)) % HATCH_PERIOD
    light = stripe < HATCH_PERIOD // 2
    return torch.where(light, _flat(HATCH[1]), _flat(HATCH[0]))
