"""Resample a sample at given places: what rotation and elastic deformation share."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from segscape.structures import LabelMap, Sample
from segscape.transforms.maps import remade


def warped(
    sample: Sample[LabelMap],
    rows: Float[Tensor, "height width"],
    columns: Float[Tensor, "height width"],
    *,
    void_outside: bool,
) -> Sample[LabelMap]:
    """Take each pixel from a place of the sample: the image bilinearly, labels and weights nearest.

    Outside, the image is mirrored at its border, so that no edge is drawn that is none.

    Args:
        sample: what to resample.
        rows: where each pixel comes from; row i covers [i, i + 1), its centre is i + 1/2.
        columns: the same across.
        void_outside: labels outside are ignored and weights 0; otherwise they are mirrored too.
    """
    height, width = sample.size
    mirrored_rows, mirrored_columns = _mirrored(rows, height), _mirrored(columns, width)
    grid = torch.stack([mirrored_columns * (2 / width) - 1, mirrored_rows * (2 / height) - 1], -1)
    image = F.grid_sample(
        sample.image[None].float(), grid[None], padding_mode="border", align_corners=False
    )[0]
    nearest = mirrored_rows.long().clamp_(max=height - 1) * width
    nearest += mirrored_columns.long().clamp_(max=width - 1)
    labels = _at(sample.target.labels, nearest)
    weights = sample.pixel_weights
    weights = None if weights is None else _at(weights, nearest)
    if void_outside:
        outside = (rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)
        labels = labels.masked_fill_(outside, sample.target.taxonomy.ignore_id)
        weights = None if weights is None else weights.masked_fill_(outside, 0)
    return remade(sample, image.round_().to(torch.uint8), labels, weights)


def _at(
    values: Shaped[Tensor, "_ _"], places: Int64[Tensor, "height width"]
) -> Shaped[Tensor, "height width"]:
    return values.flatten().index_select(0, places.flatten()).view(places.shape)


def pixel_centers(length: int) -> Float[Tensor, "_"]:
    """The centres of pixels along one axis: 1/2, 3/2 ..."""
    return torch.arange(length, dtype=torch.float32) + 0.5


def _mirrored(places: Float[Tensor, "height width"], length: int) -> Float[Tensor, "height width"]:
    folded = places.remainder(2 * length)
    return torch.minimum(folded, 2 * length - folded)
