"""Every network of the table, small enough for tests."""

from typing import Any

import torch
from torch import nn

from segscape.models import build_model
from segscape.structures import ImageBatch, Taxonomy

TAXONOMY = Taxonomy.from_names(["sky", "ground", "water"])
SMALL: dict[str, dict[str, object]] = {
    "sliding_window": {"window": 63, "channels": 8, "hidden_channels": 16},
    "unet_2015": {"channels": 4},
    "unet": {"encoder": "resnet18", "decoder_channels": [32, 16, 16, 8, 8]},
    "fcn32s": {"hidden_channels": 16},
    "fcn16s": {"hidden_channels": 16, "upsampling": "learned"},
    "fcn8s": {"hidden_channels": 16, "at_once": True},
    "fcn_alexnet": {"hidden_channels": 16},
    "fcn_resnet": {"encoder": "resnet18"},
}


def small_model(name: str, *, seed: int = 0) -> Any:
    """A small network; layers that begin at zero are made random, so that gradients pass."""
    torch.manual_seed(seed)
    model = build_model(name, TAXONOMY, SMALL[name])
    for module in model.modules():
        # Scores of the fully convolutional networks, and the last scale of each residual block.
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.1)
    return model


def noise_batch(*sizes: tuple[int, int], channels: int = 3, seed: int = 0) -> ImageBatch:
    """Random images of these sizes in one batch."""
    generator = torch.Generator().manual_seed(seed)
    images = [
        torch.randint(0, 256, (channels, *size), dtype=torch.uint8, generator=generator)
        for size in sizes
    ]
    return ImageBatch.stack(images)
