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


def label_fault(labels: Integer[Tensor, "*shape"], categories: int, ignore_id: int) -> str | None:
    """Say what is wrong with labels, and the cure; None where nothing is.

    Only on the CPU: on other devices the answer would hold up the work, and it is None.

    >>> label_fault(torch.tensor([0, 3, 255, 7]), 3, 255)
    'labels [3, 7] for 3 categories and ignore_id 255: map or ignore them'
    >>> label_fault(torch.tensor([0, 2, 255]), 3, 255)
    """
    if labels.device.type != "cpu" or not labels.numel():
        return None
    lowest, highest = torch.aminmax(labels.where(labels != ignore_id, 0))
    if int(lowest) >= 0 and int(highest) < categories:
        return None
    return (
        f"labels {unknown_labels(labels, categories, ignore_id)} for {categories} categories and "
        f"ignore_id {ignore_id}: map or ignore them"
    )
