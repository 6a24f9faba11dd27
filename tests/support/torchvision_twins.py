"""torchvision's segmentation networks with weights and statistics at random."""

import torch
from torch import nn
from torchvision.models import segmentation


def random_twin(architecture: str, *, categories: int = 21, auxiliary: bool = False) -> nn.Module:
    """A network of torchvision in evaluation whose batch normalisation is not the identity."""
    torch.manual_seed(0)
    options = {} if architecture.startswith("lraspp") else {"aux_loss": auxiliary}
    network = getattr(segmentation, architecture)(
        weights=None, weights_backbone=None, num_classes=categories, **options
    )
    norms = (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    for name, tensor in (item for norm in norms for item in norm.state_dict().items()):
        if name in ("running_var", "weight"):
            tensor.uniform_(0.5, 1.5)
        elif name in ("running_mean", "bias"):
            tensor.normal_(std=0.1)
    return network.eval()
