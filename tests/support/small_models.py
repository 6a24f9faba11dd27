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
    "deeplab_largefov": {"hidden_channels": 16},
    "deeplab_v2": {"encoder": "resnet18", "multi_scale": True},
    "deeplab_v3": {"encoder": "resnet18", "multi_grid": [1, 2], "channels": 16},
    "deeplab_v3_plus": {"encoder": "resnet18", "channels": 16, "low_level_channels": 8},
    "torchvision_fcn": {"encoder": "mobilenet_v3_large"},
    "torchvision_deeplab_v3": {"encoder": "mobilenet_v3_large"},
    "lraspp": {"channels": 16},
    "segnet": {"channels": 8},
    "segnet_basic": {"channels": 8},
    "deconvnet": {"channels": 8, "hidden_channels": 32},
    "pspnet": {"encoder": "resnet18", "channels": 16},
    "refinenet": {"encoder": "resnet18", "channels": 16, "variant": "released"},
    "light_weight_refinenet": {"encoder": "resnet18", "channels": 16},
    "upernet": {"encoder": "resnet18", "channels": 16, "auxiliary": True},
    "segformer": {"encoder": "mit_b0", "decoder_channels": 16, "drop_path": 0.0},
    "fcn_alexnet": {"hidden_channels": 16},
    "fcn_resnet": {"encoder": "resnet18"},
}


def small_model(name: str, *, in_channels: int = 3, seed: int = 0) -> Any:
    """A small network; layers that begin at zero are made random, so that gradients pass."""
    torch.manual_seed(seed)
    model = build_model(name, TAXONOMY, SMALL[name] | {"in_channels": in_channels})
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
