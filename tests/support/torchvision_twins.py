"""torchvision's segmentation networks with weights and statistics at random."""

import torch
from torch import nn
from torchvision.models import segmentation


def random_twin(name: str, *, categories: int = 21, auxiliary: bool = False) -> nn.Module:
    """A network of torchvision in evaluation whose batch normalisation is not the identity."""
    torch.manual_seed(0)
    options = {} if name.startswith("lraspp") else {"aux_loss": auxiliary}
    network = getattr(segmentation, name)(
        weights=None, weights_backbone=None, num_classes=categories, **options
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return network.eval()
