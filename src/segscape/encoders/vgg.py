"""VGG16, from torchvision's definition.

K. Simonyan, A. Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014,
arXiv:1409.1556 (configuration D).

Differences from the paper: the classifier is left out; `ConvolutionalClassifier` is its form as
convolutions.
"""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.dilation import dilate
from segscape.encoders.weight_files import load_by_name, read_torchvision
from segscape.structures import RecipeError


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
                nn.init.zeros_(module.get_parameter("bias"))
            elif isinstance(module, nn.MaxPool2d):
                module.ceil_mode = ceil_mode
        if weights is not None:
            tensors = read_torchvision("VGG16_Weights.IMAGENET1K_V1", weights)
            load_by_name(self, tensors, source=f"vgg16 weights ({weights})", network="vgg16")

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
