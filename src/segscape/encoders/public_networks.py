"""Which public classification network a file of weights belongs to, told by names and shapes."""

import re
from collections.abc import Mapping

from torch import Tensor

_CONVOLUTION = re.compile(r"features\.\d+\.weight")
_BLOCK = re.compile(r"layer([1-4])\.(\d+)\.conv1\.weight")
# By the convolutions below `features` and the side of the first.
_STRAIGHT = {
    (5, 11): "alexnet",
    (8, 3): "vgg11",
    (10, 3): "vgg13",
    (13, 3): "vgg16",
    (16, 3): "vgg19",
}
# By the blocks of the four stages, and whether blocks have three convolutions.
_RESIDUAL: dict[tuple[tuple[int, ...], bool], str] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}
# Those that can be told: of another network nothing is known.
_NAMES = (*_STRAIGHT.values(), *_RESIDUAL.values())
TOLD = frozenset((*_NAMES, *(f"{name}_bn" for name in _NAMES if name.startswith("vgg"))))


def public_network(tensors: Mapping[str, Tensor]) -> str | None:
    """Name the AlexNet, VGG or ResNet of torchvision whose tensors these are; None for others.

    >>> import torch
    >>> from torchvision.models import vgg16_bn
    >>> with torch.device("meta"):
    ...     public_network(vgg16_bn().state_dict())
    'vgg16_bn'
    """
    straight = [
        tensor
        for name, tensor in tensors.items()
        if _CONVOLUTION.fullmatch(name) and tensor.ndim == 4
    ]
    if straight:
        name = _STRAIGHT.get((len(straight), straight[0].shape[-1]))
        normalized = any(name.endswith("running_mean") for name in tensors)
        return f"{name}_bn" if name is not None and normalized else name
    if _shape(tensors, "conv1.weight")[2:] != (7, 7):
        return None
    if _shape(tensors, "layer1.0.conv2.weight") != (64, 64, 3, 3):  # of others by this name
        return None
    blocks = [match[1] for name in tensors if (match := _BLOCK.fullmatch(name))]
    counts = tuple(blocks.count(stage) for stage in "1234")
    return _RESIDUAL.get((counts, "layer1.0.conv3.weight" in tensors))


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    return tuple(tensors[name].shape) if name in tensors else ()
