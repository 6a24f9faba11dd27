"""AlexNet, as published and as torchvision has it.

A. Krizhevsky, I. Sutskever, G. Hinton: ImageNet Classification with Deep Convolutional Neural
Networks, NIPS 2012; A. Krizhevsky: One weird trick for parallelizing convolutional neural networks,
2014, arXiv:1404.5997.

Differences from the papers: the classifier is left out; `ConvolutionalClassifier` is its
convolutional form. Paper and public weights disagree: the published network splits convolutions 2,
4 and 5 over two processors and normalises responses, as Caffe's weights want it; torchvision has
the narrower network of 2014 in one piece. Where responses are normalised, pooling comes first, as
in the released FCN-AlexNet, not last, as in the paper.
"""

from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.encoder import no_denser_maps
from segscape.encoders.weight_files import load_by_name, read_torchvision

AlexNetVariant = Literal["published", "torchvision"]
CHANNELS: dict[str, tuple[int, ...]] = {
    "published": (96, 256, 384, 384, 256),
    "torchvision": (64, 192, 384, 256, 256),
}


class AlexNet(nn.Module):
    """The convolutional part of AlexNet; returns the three pooled maps.

    The modules carry torchvision's names (`features.0` ...), so that public `alexnet` weights load
    by name.

    Args:
        in_channels: channels of the input.
        variant: "published", in two groups and normalised, or "torchvision".
        first_padding: zero padding of the first convolution in pixels; 4 makes maps of exactly a
            4th, an 8th and so on; fully convolutional networks take 100.
        pool_padding: of the poolings; 1 likewise; with 0 they keep incomplete windows at the
            border, as Caffe does.
    """

    strides: tuple[int, ...] = (8, 16, 32)
    size_multiple: int = 32

    def __init__(
        self,
        *,
        in_channels: int = 3,
        variant: AlexNetVariant = "torchvision",
        first_padding: int = 4,
        pool_padding: int = 1,
    ) -> None:
        super().__init__()
        widths = CHANNELS[variant]
        self.channels = (widths[0], widths[1], widths[4])
        published = variant == "published"
        groups = 2 if published else 1

        def pool(*, normalized: bool) -> nn.Sequential:
            layer = nn.MaxPool2d(3, 2, padding=pool_padding, ceil_mode=pool_padding == 0)
            return nn.Sequential(layer, *[nn.LocalResponseNorm(5)] * normalized)

        self.features = nn.Sequential(
            nn.Conv2d(in_channels, widths[0], 11, stride=4, padding=first_padding),
            nn.ReLU(inplace=True),
            pool(normalized=published),
            nn.Conv2d(widths[0], widths[1], 5, padding=2, groups=groups),
            nn.ReLU(inplace=True),
            pool(normalized=published),
            nn.Conv2d(widths[1], widths[2], 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(widths[2], widths[3], 3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
            nn.Conv2d(widths[3], widths[4], 3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
            pool(normalized=False),
        )
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.get_parameter("bias"))

    def forward(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """The outputs of the three poolings, finest first."""
        maps: list[Tensor] = []
        x = pixels
        for module in self.features:
            x = module(x)
            if isinstance(module, nn.Sequential):
                maps.append(x)
        return maps


def build_alexnet(
    *, in_channels: int, output_stride: int, weights: Path | Literal["download"] | None
) -> AlexNet:
    """Build torchvision's variant as an encoder, as `build_encoder` names it.

    Raises:
        RecipeError: for an output stride other than 32.
        CheckpointError: when the weights do not fit or cannot be fetched.
    """
    if output_stride != 32:
        raise no_denser_maps("encoder 'alexnet'", output_stride)
    encoder = AlexNet(in_channels=in_channels)
    if weights is not None:
        tensors = read_torchvision("AlexNet_Weights.IMAGENET1K_V1", weights)
        load_by_name(encoder, tensors, source=f"alexnet weights ({weights})", network="alexnet")
    return encoder
