"""Labels that name no category."""

import torch
from jaxtyping import Integer
from torch import Tensor


def unknown_labels(labels: Integer[Tensor, "*shape"], categories: int, ignore_id: int) -> list[int]:
    """The labels that are neither a category nor ignored, at most eight, ascending.

    >>> unknown_labels(torch.tensor([0, 3, 255, 7]), 3, 255)
    [3, 7]
    """
    known = (labels >= 0) & (labels < categories) | (labels == ignore_id)
    return torch.unique(labels[~known])[:8].tolist()
