"""Labels that do not belong to the logits they are given with."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor


def unknown_labels(labels: Integer[Tensor, "*shape"], categories: int, ignore_id: int) -> list[int]:
    """The labels that are neither a category nor ignored, at most eight, ascending.

    >>> unknown_labels(torch.tensor([0, 3, 255, 7]), 3, 255)
    [3, 7]
    """
    known = (labels >= 0) & (labels < categories) | (labels == ignore_id)
    return torch.unique(labels[~known])[:8].tolist()


def shape_fault(
    logits: Float[Tensor, "batch channel height width"],
    labels: Integer[Tensor, "images rows columns"],
    pixel_weights: Float[Tensor, "weighted_images weighted_rows weighted_columns"] | None = None,
) -> str | None:
    """Say which of labels and pixel weights are not one for each pixel of the logits, and the cure.

    torch's `gather` takes the corner of the logits that smaller labels cover, without a word.

    >>> shape_fault(torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 2, dtype=torch.int64))
    'labels of 1 x 2 x 2 for logits of 1 x 4 x 4 pixels: resize one to the other'
    """
    images, _, *size = logits.shape
    for name, given in (("labels", labels), ("pixel weights", pixel_weights)):
        if given is not None and list(given.shape) != [images, *size]:
            return (
                f"{name} of {_by(given.shape)} for logits of {_by((images, *size))} pixels: "
                "resize one to the other"
            )
    return None


def label_fault(
    logits: Float[Tensor, "batch channel height width"],
    labels: Integer[Tensor, "images rows columns"],
    ignore_id: int,
    pixel_weights: Float[Tensor, "weighted_images weighted_rows weighted_columns"] | None = None,
    *,
    binary: bool = False,
) -> str | None:
    """Say what is wrong with labels for these logits, and the cure; None where nothing is.

    Ids are looked at only on the CPU: on other devices the answer would hold up the work.

    Args:
        logits: a channel for each category, or one for the foreground (`binary`).
        labels: 0..channel-1, or 0 and 1, or `ignore_id`.
        ignore_id: the label that is no category.
        pixel_weights: None for none.
        binary: whether the logits are those of the foreground alone.

    >>> label_fault(torch.zeros(1, 3, 1, 3), torch.tensor([[[0, 3, 255]]]), 255)
    'labels [3] for 3 categories and ignore_id 255: map or ignore them'
    >>> label_fault(torch.zeros(1, 3, 1, 2), torch.tensor([[[2, 255]]]), 255)
    """
    channels = logits.shape[1]
    if binary and channels != 1:
        return f"logits of {channels} channels: give one, the foreground's"
    if fault := shape_fault(logits, labels, pixel_weights):
        return fault
    categories = 2 if binary else channels
    if labels.device.type != "cpu" or not labels.numel():
        return None
    lowest, highest = torch.aminmax(labels.where(labels != ignore_id, 0))
    if int(lowest) >= 0 and int(highest) < categories:
        return None
    return (
        f"labels {unknown_labels(labels, categories, ignore_id)} for {categories} categories and "
        f"ignore_id {ignore_id}: map or ignore them"
    )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
