"""VGG16, from torchvision's definition.

K. Simonyan, A. Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014,
arXiv:1409.1556 (configuration D).

Differences from the paper: the classifier is left out, or turned into convolutions as fully
convolutional networks need it (Long et al. 2015, arXiv:1411.4038, sec. 3.1).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.dilation import dilate
from segscape.encoders.weight_files import load_by_name, read_weights
from segscape.structures import CheckpointError, RecipeError


class VGG16(nn.Module):
    """The convolutional part of VGG16; returns the five pooled maps.

    The modules carry torchvision's names (`features.0` ...), so that public `vgg16` weights load by
    name.

    Args:
        in_channels: channels of the input.
        first_padding: zero padding of the first convolution in pixels; the published fully
            convolutional networks take 100 so that any image is larger than the network needs.
        ceil_mode: pool incomplete windows at the border too, as Caffe does.
        weights: None, a file with public `vgg16` weights, or "download" for torchvision's.

    Raises:
        CheckpointError: when the weights do not fit or cannot be fetched.
    """

    channels: tuple[int, ...] = (64, 128, 256, 512, 512)
    strides: tuple[int, ...] = (2, 4, 8, 16, 32)
    size_multiple: int = 32

    def __init__(
        self,
        *,
        in_channels: int = 3,
        first_padding: int = 1,
        ceil_mode: bool = False,
        weights: Path | Literal["download"] | None = None,
    ) -> None:
        super().__init__()
        from torchvision.models import vgg16

        with torch.device("meta"):  # the classifier's 123 million weights are never made
            definition = vgg16(weights=None)
        definition.features.to_empty(device="cpu")
        first = nn.Conv2d(in_channels, 64, 3, padding=first_padding)
        self.features = nn.Sequential(first, *list(definition.features.children())[1:])
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                # As torchvision initialises; to_empty left them undefined.
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.MaxPool2d):
                module.ceil_mode = ceil_mode
        if weights is not None:
            self.load_public(read_vgg16(weights), source=f"vgg16 weights ({weights})")

    def forward(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """The outputs of the five poolings, finest first."""
        maps: list[Tensor] = []
        x = pixels
        for module in self.features:
            x = module(x)
            if isinstance(module, nn.MaxPool2d):
                maps.append(x)
        return maps

    def load_public(self, tensors: Mapping[str, Tensor], *, source: str) -> None:
        """Fill the convolutions from a public `vgg16` state dict; its classifier is not used.

        Raises:
            CheckpointError: when a tensor is missing or of another shape.
        """
        load_by_name(self, tensors, source=source)


class AtrousVGG16(VGG16):
    """VGG16 as DeepLab's first two versions take it: stride 8, its fifth level at rate 2.

    The poolings are 3 x 3 with one pixel of padding and strides 2, 2, 2, 1, 1, and an average over
    3 x 3 follows the last (pool5a), as in the released definition. Point i of a map lies over pixel
    i x stride, and sides are those of Caffe: (side - 1) / stride, rounded up, and one. That is why
    this is not an `Encoder`; `ops/grid.py` reads its maps.

    L.-C. Chen et al. 2015, arXiv:1412.7062, sec. 3.1.

    Args:
        in_channels: channels of the input.
        weights: None, a file with public `vgg16` weights, or "download" for torchvision's.

    Raises:
        CheckpointError: when the weights do not fit or cannot be fetched.
    """

    strides: tuple[int, ...] = (2, 4, 8, 8, 8)
    size_multiple: int = 1

    def __init__(
        self, *, in_channels: int = 3, weights: Path | Literal["download"] | None = None
    ) -> None:
        super().__init__(in_channels=in_channels, weights=weights)
        steps = iter((2, 2, 2, 1, 1))
        pooled = 0
        for index, module in enumerate(self.features):
            if isinstance(module, nn.MaxPool2d):
                pool = nn.MaxPool2d(3, next(steps), padding=1, ceil_mode=True)
                self.features[index] = pool
                pooled += 1
            elif isinstance(module, nn.Conv2d) and pooled == 4:
                module.dilation = module.padding = (2, 2)

    def forward(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """The outputs of the five poolings, finest first, the last averaged."""
        maps = super().forward(pixels)
        maps[-1] = F.avg_pool2d(maps[-1], 3, stride=1, padding=1)
        return maps


class ConvolutionalClassifier(nn.Module):
    """VGG16's fully connected layers fc6 and fc7 as convolutions, with dropout of one half.

    Args:
        channels: outputs of both layers, 4096 in VGG16.
        dropout: chance of dropping an activation after each layer, in [0, 1).
    """

    def __init__(self, *, channels: int = 4096, dropout: float = 0.5) -> None:
        super().__init__()
        self.fc6 = nn.Conv2d(512, channels, 7)
        self.fc7 = nn.Conv2d(channels, channels, 1)
        self.dropout = dropout

    def forward(
        self, x: Float[Tensor, "batch 512 height width"]
    ) -> Float[Tensor, "batch channel out_height out_width"]:
        """Classify every window of 7 x 7."""
        for layer in (self.fc6, self.fc7):
            x = F.dropout(F.relu(layer(x), inplace=True), self.dropout, self.training)
        return x

    def load_public(self, tensors: Mapping[str, Tensor], *, source: str) -> None:
        """Reshape `classifier.0` and `classifier.3` of a public `vgg16` into fc6 and fc7.

        A fully connected layer over 512 x 7 x 7 inputs is a 7 x 7 convolution at one place.

        Raises:
            CheckpointError: when they are missing or of another shape.
        """
        public = convolutional_classifier(tensors, channels=self.fc6.out_channels, source=source)
        load_by_name(self, public, source=source)


def convolutional_classifier(
    tensors: Mapping[str, Tensor], *, channels: int, source: str
) -> dict[str, Tensor]:
    """Reshape `classifier.0` and `classifier.3` of a public `vgg16` into `fc6` and `fc7`.

    Args:
        tensors: a public state dict, with or without batch normalisation.
        channels: outputs of fc6.
        source: says in errors where the tensors come from.

    Raises:
        CheckpointError: when they are missing or of another shape.
    """
    reshaped: dict[str, Tensor] = {}
    for layer, public, shape in (
        ("fc6", "classifier.0", (-1, 512, 7, 7)),
        ("fc7", "classifier.3", (-1, channels, 1, 1)),
    ):
        for part in ("weight", "bias"):
            tensor = tensors.get(f"{public}.{part}")
            if tensor is None:
                raise CheckpointError(
                    f"{source} lacks {public}.{part}: give a vgg16 file with its classifier"
                )
            try:
                reshaped[f"{layer}.{part}"] = tensor.reshape(shape) if part == "weight" else tensor
            except RuntimeError as error:
                raise CheckpointError(
                    f"{source}: {public}.{part} of {tuple(tensor.shape)} cannot be {layer}: "
                    "give a vgg16 file"
                ) from error
    return reshaped


def read_vgg16(
    weights: Path | Literal["download"], *, batch_norm: bool = False
) -> Mapping[str, Tensor]:
    """Read public `vgg16` weights from a file, or let torchvision fetch its own.

    Args:
        weights: a file, or "download".
        batch_norm: whether those with batch normalisation are fetched.

    Raises:
        CheckpointError: when they cannot be read or fetched.
    """
    if isinstance(weights, Path):
        return read_weights(weights)
    from torchvision.models import VGG16_BN_Weights, VGG16_Weights

    published = VGG16_BN_Weights.IMAGENET1K_V1 if batch_norm else VGG16_Weights.IMAGENET1K_V1
    try:
        return published.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"vgg16 weights could not be downloaded ({error}): give a local file as weights=PATH"
        ) from error


def build_vgg16(
    *, in_channels: int, output_stride: int, weights: Path | Literal["download"] | None
) -> VGG16:
    """Build the encoder as `build_encoder` names it.

    Raises:
        RecipeError: for an output stride other than 8, 16 or 32.
    """
    if output_stride not in (8, 16, 32):
        raise RecipeError(
            f"encoder 'vgg16': output_stride {output_stride} is not one of (8, 16, 32)"
        )
    encoder = VGG16(in_channels=in_channels, weights=weights)
    if output_stride < 32:
        dilate(encoder, output_stride=output_stride, in_channels=in_channels)
        encoder.strides = tuple(min(stride, output_stride) for stride in encoder.strides)
        encoder.size_multiple = output_stride
    return encoder
