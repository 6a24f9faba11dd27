"""Samples whose image is drawn from their labels, so that alignment can be seen."""

import numpy as np
import torch

from segscape.structures import LabelMap, Sample, Taxonomy

TAXONOMY = Taxonomy.from_names(["sky", "ground", "water", "house", "tree"])
# One colour for each category, and one for ignored pixels.
COLORS = torch.tensor(
    [[20, 40, 200], [200, 160, 30], [0, 255, 120], [255, 0, 60], [90, 90, 90]], dtype=torch.uint8
)


def picture_of(labels: torch.Tensor, channels: int = 3) -> torch.Tensor:
    """The image in which each category has its colour; ignored pixels are white."""
    colors = torch.cat([COLORS, torch.full((251, 3), 255, dtype=torch.uint8)])
    picture = colors[labels.long()].permute(2, 0, 1)
    return picture.repeat((channels + 2) // 3, 1, 1)[:channels]


def drawn_sample(
    height: int,
    width: int,
    *,
    seed: int = 0,
    block: int = 12,
    channels: int = 3,
    void: bool = True,
    weights: bool = True,
) -> Sample[LabelMap]:
    """Blocks of categories (some ignored), the image in their colours, weights label + 1."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(0, 6 if void else 5, (height // block + 1, width // block + 1))
    ids[ids == 5] = 255
    labels = np.kron(ids, np.ones((block, block), int))[:height, :width].astype(np.uint8)
    target = LabelMap(torch.from_numpy(labels.copy()), TAXONOMY)
    return Sample(
        picture_of(target.labels, channels),
        target,
        "drawn",
        target.labels.float() + 1 if weights else None,
    )


def noise_sample(height: int, width: int, *, seed: int = 0, channels: int = 3) -> Sample[LabelMap]:
    """Every pixel and label random, no weights."""
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (channels, height, width), dtype=np.uint8)
    labels = generator.integers(0, 5, (height, width), dtype=np.uint8)
    return Sample(torch.from_numpy(image), LabelMap(torch.from_numpy(labels), TAXONOMY), "noise")
