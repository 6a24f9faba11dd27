"""Masks and the boxes around them."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def boxes_around(masks: Bool[Tensor, "object height width"]) -> Float[Tensor, "object 4"]:
    """Find the tight box of each mask: left, top, right, bottom, right and bottom exclusive.

    An empty mask has the box 0, 0, 0, 0.

    >>> mask = torch.zeros(1, 5, 6, dtype=torch.bool)
    >>> mask[0, 1:3, 2:6] = True
    >>> boxes_around(mask).tolist()
    [[2.0, 1.0, 6.0, 3.0]]
    """
    count, height, width = masks.shape
    if masks.numel() == 0:
        return torch.zeros(count, 4, device=masks.device)
    rows, columns = masks.any(2), masks.any(1)
    top, left = rows.int().argmax(1), columns.int().argmax(1)
    bottom = height - rows.flip(1).int().argmax(1)
    right = width - columns.flip(1).int().argmax(1)
    boxes = torch.stack([left, top, right, bottom], 1).float()
    return boxes * rows.any(1)[:, None]
