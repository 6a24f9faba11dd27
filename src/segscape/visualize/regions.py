"""Regions without names as pictures: their boundaries over the image, and their mean colours."""

import numpy as np
import torch
from jaxtyping import Bool, Integer, UInt8
from torch import Tensor

from segscape.structures import StructureError

# Seen on dark and on light ground alike: a bright line with a dark one beside it.
LINE = (255, 225, 25)
SHADE = 0.45


def boundary_overlay(
    image: UInt8[Tensor, "3 height width"], regions: Integer[Tensor, "_ _"]
) -> UInt8[Tensor, "3 height width"]:
    """Draw lines of one pixel where regions meet; the pixels beside them are darkened.

    Args:
        image: 0..255.
        regions: ids, of the image's size.

    Raises:
        StructureError: when the sizes differ.

    >>> image = torch.full((3, 1, 3), 200, dtype=torch.uint8)
    >>> boundary_overlay(image, torch.tensor([[0, 0, 1]]))[0].tolist()
    [[200, 255, 90]]
    """
    _refuse_other_size(image, regions)
    before, behind = _sides(regions.cpu())
    base = image.cpu()
    picture = torch.where(behind, (base * SHADE).to(torch.uint8), base)
    return torch.where(before, torch.tensor(LINE, dtype=torch.uint8)[:, None, None], picture)


def mean_colors(
    image: UInt8[Tensor, "3 height width"], regions: Integer[Tensor, "_ _"]
) -> UInt8[Tensor, "3 height width"]:
    """Paint each region in the mean of its colours.

    Args:
        image: 0..255.
        regions: ids, of the image's size.

    Raises:
        StructureError: when the sizes differ.

    >>> image = torch.tensor([0, 100, 7], dtype=torch.uint8).expand(3, 1, 3)
    >>> mean_colors(image, torch.tensor([[4, 4, 9]]))[0].tolist()
    [[50, 50, 7]]
    """
    _refuse_other_size(image, regions)
    used, ids = torch.unique(regions.cpu(), return_inverse=True)
    flat = ids.flatten().numpy()
    area = np.bincount(flat, minlength=len(used))
    channels = [
        np.rint(np.bincount(flat, channel.flatten().numpy(), minlength=len(used)) / area)
        for channel in image.cpu()
    ]
    return torch.from_numpy(np.stack(channels).astype(np.uint8))[:, ids]


def _sides(
    regions: Integer[Tensor, "height width"],
) -> tuple[Bool[Tensor, "height width"], Bool[Tensor, "height width"]]:
    """Pixels left of or above another region, and those right of or below one, but not both."""
    before = torch.zeros(regions.shape, dtype=torch.bool)
    behind = before.clone()
    across, down = regions[:, :-1] != regions[:, 1:], regions[:-1] != regions[1:]
    before[:, :-1] |= across
    before[:-1] |= down
    behind[:, 1:] |= across
    behind[1:] |= down
    return before, behind & ~before


def _refuse_other_size(image: Tensor, regions: Tensor) -> None:
    if image.shape[1:] != regions.shape:
        raise StructureError(
            f"the image is {tuple(image.shape[1:])} but its regions {tuple(regions.shape)} pixels: "
            "resize one of them"
        )
