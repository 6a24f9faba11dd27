"""What all geometric transforms share: image, labels and weights move together."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from segscape.structures import LabelMap, Sample, Size


def moved(sample: Sample[LabelMap], change: Callable[[Tensor], Tensor]) -> Sample[LabelMap]:
    """Change image (channel height width), labels and weights (height width) by one function."""
    weights = sample.pixel_weights
    return remade(
        sample,
        change(sample.image),
        change(sample.target.labels),
        None if weights is None else change(weights),
    )


def remade(
    sample: Sample[LabelMap],
    image: UInt8[Tensor, "channel height width"],
    labels: Shaped[Tensor, "height width"],
    pixel_weights: Float[Tensor, "height width"] | None,
) -> Sample[LabelMap]:
    """The sample with other pixels: same key, same taxonomy."""
    return Sample(image, LabelMap(labels, sample.target.taxonomy), sample.key, pixel_weights)


def take_window(sample: Sample[LabelMap], top: int, left: int, window: Size) -> Sample[LabelMap]:
    """Cut a window that may reach beyond the image.

    Outside, the image has its own mean colour, the labels are ignored and the weights are 0.
    """
    height, width = sample.size
    if top == left == 0 and window == sample.size:
        return sample
    rows = slice(max(top, 0), min(top + window.height, height))
    columns = slice(max(left, 0), min(left + window.width, width))
    inside = moved(sample, lambda values: values[..., rows, columns])
    if inside.size == window:
        return inside
    target_rows = slice(rows.start - top, rows.stop - top)
    target_columns = slice(columns.start - left, columns.stop - left)

    def placed(values: Tensor, canvas: Tensor) -> Tensor:
        canvas[..., target_rows, target_columns] = values
        return canvas

    mean = sample.image.float().mean((1, 2), keepdim=True).round().to(torch.uint8)
    weights = inside.pixel_weights
    return remade(
        sample,
        placed(inside.image, mean.repeat(1, *window)),
        placed(
            inside.target.labels,
            inside.target.labels.new_full(window, sample.target.taxonomy.ignore_id),
        ),
        None if weights is None else placed(weights, weights.new_zeros(window)),
    )
