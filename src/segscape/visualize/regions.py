"""Regions without names as pictures: their boundaries, their mean colours, or one cut out."""

import numpy as np
import torch
from jaxtyping import Bool, Integer, UInt8
from torch import Tensor
from torch.nn.functional import max_pool2d

from segscape.structures import StructureError

# Seen on dark, bright and textured ground: a bright line between dark rims.
LINE = (255, 225, 25)
RIM_SHARE = 0.3
# Lines and rims reach one pixel further for each so many of the longer side.
_SIDE_PER_PIXEL = 800


def boundary_overlay(
    image: UInt8[Tensor, "3 height width"], regions: Integer[Tensor, "_ _"]
) -> UInt8[Tensor, "3 height width"]:
    """Draw bright lines with dark rims where regions meet, wider in images above 1200 pixels.

    Args:
        image: 0..255.
        regions: ids, of the image's size.

    Raises:
        StructureError: when the sizes differ.

    >>> image = torch.full((3, 1, 4), 200, dtype=torch.uint8)
    >>> boundary_overlay(image, torch.tensor([[0, 0, 1, 1]]))[0].tolist()
    [[60, 255, 60, 200]]
    """
    _refuse_other_size(image, regions)
    reach = max(1, round(max(regions.shape) / _SIDE_PER_PIXEL))
    line = _widened(_before_others(regions.cpu()), reach - 1)
    rim = _widened(line, reach)
    base = image.cpu()
    picture = torch.where(rim, (base * RIM_SHARE).to(torch.uint8), base)
    return torch.where(line, torch.tensor(LINE, dtype=torch.uint8)[:, None, None], picture)


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


def cut_out(
    image: UInt8[Tensor, "3 height width"], mask: Bool[Tensor, "_ _"]
) -> UInt8[Tensor, "3 height width"]:
    """Show what a mask holds, on white.

    Args:
        image: 0..255.
        mask: of the image's size, true where the image shows.

    Raises:
        StructureError: when the sizes differ.

    >>> image = torch.full((3, 1, 2), 9, dtype=torch.uint8)
    >>> cut_out(image, torch.tensor([[True, False]]))[0].tolist()
    [[9, 255]]
    """
    _refuse_other_size(image, mask)
    return torch.where(mask.cpu(), image.cpu(), torch.tensor(255, dtype=torch.uint8))


def _before_others(regions: Integer[Tensor, "height width"]) -> Bool[Tensor, "height width"]:
    """Pixels left of or above another region."""
    before = torch.zeros(regions.shape, dtype=torch.bool)
    before[:, :-1] |= regions[:, :-1] != regions[:, 1:]
    before[:-1] |= regions[:-1] != regions[1:]
    return before


def _widened(mask: Bool[Tensor, "height width"], by_px: int) -> Bool[Tensor, "height width"]:
    """The mask and what is within so many pixels of it."""
    if by_px == 0:
        return mask
    side = 2 * by_px + 1
    return max_pool2d(mask[None].float(), side, stride=1, padding=by_px)[0] > 0


def _refuse_other_size(image: Tensor, regions: Tensor) -> None:
    if image.shape[1:] != regions.shape:
        raise StructureError(
            f"the image is {tuple(image.shape[1:])} but its regions {tuple(regions.shape)} pixels: "
            "resize one of them"
        )
