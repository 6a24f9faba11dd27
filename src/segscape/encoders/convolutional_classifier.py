"""Fully connected layers of a classification network as convolutions.

J. Long, E. Shelhamer, T. Darrell: Fully Convolutional Networks for Semantic Segmentation, 2015,
arXiv:1411.4038, sec. 3.1.
"""

from collections.abc import Mapping

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.weight_files import load_by_name
from segscape.structures import CheckpointError


class ConvolutionalClassifier(nn.Module):
    """The fully connected layers fc6 and fc7 of VGG16 or AlexNet as convolutions, with dropout.

    Args:
        in_channels: of the last pooled map: 512 in VGG16, 256 in AlexNet.
        side: of the map that fc6 reads whole: 7 in VGG16, 6 in AlexNet.
        channels: outputs of both layers, 4096 in both networks.
        dropout: chance of dropping an activation after each layer, in [0, 1).
    """

    def __init__(
        self,
        *,
        in_channels: int = 512,
        side: int = 7,
        channels: int = 4096,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.fc6 = nn.Conv2d(in_channels, channels, side)
        self.fc7 = nn.Conv2d(channels, channels, 1)
        self.dropout = dropout

    def forward(
        self, x: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch channel out_height out_width"]:
        """Classify every window of `side` x `side`."""
        for layer in (self.fc6, self.fc7):
            x = F.dropout(F.relu(layer(x), inplace=True), self.dropout, self.training)
        return x

    def load_public(
        self, tensors: Mapping[str, Tensor], *, layers: tuple[str, str], source: str
    ) -> None:
        """Fill fc6 and fc7 from a public state dict of the whole classification network.

        Args:
            tensors: by torchvision's names.
            layers: their names of the two layers.
            source: says in errors where the tensors come from.

        Raises:
            CheckpointError: when a tensor is missing or of another shape.
        """
        side = self.fc6.kernel_size[0]
        load_by_name(
            self, convolutionalize(tensors, layers=layers, side=side, source=source), source=source
        )


def convolutionalize(
    tensors: Mapping[str, Tensor], *, layers: tuple[str, str], side: int, source: str
) -> dict[str, Tensor]:
    """Turn two fully connected layers into convolutions `fc6` and `fc7`.

    A fully connected layer over a map of side x side is the convolution of that size at its one
    place; a layer behind it is a convolution of 1 x 1.

    Args:
        tensors: a public state dict.
        layers: names of the layers: `classifier.0` and `classifier.3` in torchvision's VGG16,
            `classifier.1` and `classifier.4` in its AlexNet.
        side: of the map that the first layer reads whole: 7 in VGG16, 6 in AlexNet.
        source: says in errors where the tensors come from.

    Returns:
        Weights and biases of both.

    Raises:
        CheckpointError: when a tensor is missing, or its inputs are no map of that side.

    >>> import torch
    >>> layer = {"weight": torch.ones(10, 2 * 3 * 3), "bias": torch.ones(10)}
    >>> second = {"weight": torch.ones(5, 10), "bias": torch.ones(5)}
    >>> tensors = {f"a.{k}": v for k, v in layer.items()} | {f"b.{k}": v for k, v in second.items()}
    >>> turned = convolutionalize(tensors, layers=("a", "b"), side=3, source="an example")
    >>> turned["fc6.weight"].shape, turned["fc7.weight"].shape
    (torch.Size([10, 2, 3, 3]), torch.Size([5, 10, 1, 1]))
    """
    turned: dict[str, Tensor] = {}
    for name, public, kernel in (("fc6", layers[0], side), ("fc7", layers[1], 1)):
        weight, bias = tensors.get(f"{public}.weight"), tensors.get(f"{public}.bias")
        if weight is None or bias is None:
            missing = "weight" if weight is None else "bias"
            raise CheckpointError(
                f"{source} lacks {public}.{missing}: give a file that holds the classifier, too"
            )
        if weight.ndim != 2 or weight.shape[1] % kernel**2:
            raise CheckpointError(
                f"{source}: {public}.weight of {tuple(weight.shape)} does not read a map of "
                f"{kernel} x {kernel}: give the file of the network asked for"
            )
        turned[f"{name}.weight"] = weight.unflatten(1, (-1, kernel, kernel))
        turned[f"{name}.bias"] = bias
    return turned
