"""DeepLabv3+: DeepLabv3 as an encoder, and a small decoder that sharpens outlines.

L.-C. Chen, Y. Zhu, G. Papandreou, F. Schroff, H. Adam: Encoder-Decoder with Atrous Separable
Convolution for Semantic Image Segmentation, 2018, arXiv:1802.02611.

The default is the network of the paper's best results: modified aligned Xception-65, separable
convolutions in pyramid and decoder. Its ResNet-101 is encoder="resnet101", multi_grid=(1, 2, 4),
separable=False.

Differences from the paper: maps are enlarged pixel area by pixel area on sides that are multiples
of the stride; the authors enlarge corner to corner on sides of a multiple and one (513). The
residual network is timm's, whose first convolution is 7 x 7; the authors' begins with three of
3 x 3.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders import Encoder, build_encoder
from segscape.layers.aspp import ASPP
from segscape.layers.conv import ConvBatchNormReLU
from segscape.layers.score_layer import score_layer
from segscape.layers.separable_conv import SeparableConvBatchNormReLU
from segscape.models.options import Count, Fraction, PerChannel, Rates
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_logits, resize_maps
from segscape.structures import RecipeError, Size, Taxonomy

# Sec. 4: as DeepLabv3, at an output stride of 16; doubled at 8.
RATES = (6, 12, 18)
# Sec. 3.1: the decoder joins the map before the stride from 4 to 8.
LOW_LEVEL_STRIDE = 4
# Table 1: 48 channels were better than 8, 16, 32 and 64.
LOW_LEVEL_CHANNELS = 48


class DeepLabV3Plus(SemanticModel):
    """DeepLabv3's pyramid, enlarged to stride 4, joined with the encoder's map and convolved twice.

    Args:
        taxonomy: what the outputs mean.
        encoder: its coarsest map and its deepest one of stride 4 are read.
        rates: distance of the taps of the pyramid's convolutions, in pixels of the coarsest map.
        channels: of the pyramid and of the decoder.
        low_level_channels: to which the map of stride 4 is reduced before it is joined.
        separable: make the 3 x 3 convolutions of pyramid and decoder depthwise separable.
        dropout: chance of dropping a value of the pyramid's result, in [0, 1).
        in_channels: channels the network reads, the same as the encoder's.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.

    Raises:
        RecipeError: when the encoder has no map of stride 4.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        encoder: Encoder,
        *,
        rates: Sequence[int] = RATES,
        channels: int = 256,
        low_level_channels: int = LOW_LEVEL_CHANNELS,
        separable: bool = True,
        dropout: float = 0.1,
        in_channels: int = 3,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        if LOW_LEVEL_STRIDE not in encoder.strides:
            raise RecipeError(
                f"deeplab_v3_plus: the encoder's maps have strides {encoder.strides}, the decoder "
                f"needs one of {LOW_LEVEL_STRIDE}: choose another encoder, as resnet101"
            )
        self.encoder = encoder
        self.pad_to = encoder.size_multiple
        self.strides = (LOW_LEVEL_STRIDE, encoder.strides[-1])
        # The last of several maps of that stride is the deepest.
        self._low_level = len(encoder.strides) - 1 - encoder.strides[::-1].index(LOW_LEVEL_STRIDE)
        self.aspp = ASPP(
            encoder.channels[-1],
            rates=rates,
            out_channels=channels,
            separable=separable,
            dropout=dropout,
        )
        self.reduce = ConvBatchNormReLU(
            encoder.channels[self._low_level], low_level_channels, kernel_size=1
        )
        conv = SeparableConvBatchNormReLU if separable else ConvBatchNormReLU
        # Table 2: two convolutions were better than one and than three.
        self.decoder = nn.Sequential(
            conv(channels + low_level_channels, channels), conv(channels, channels)
        )
        self.classifier = score_layer(channels, len(taxonomy))

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits for normalised pixels whose sides are multiples of `pad_to`."""
        maps = self.encoder(pixels)
        low_level = self.reduce(maps[self._low_level])
        x = resize_maps(self.aspp(maps[-1]), Size(*low_level.shape[2:]))
        logits = self.classifier(self.decoder(torch.cat([x, low_level], dim=1)))
        return SemanticOutputs(resize_logits(logits, Size(*pixels.shape[2:])))


def build_deeplab_v3_plus(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: str = "xception65",
    output_stride: Literal[8, 16] = 16,
    multi_grid: tuple[Count, ...] | None = None,
    rates: Rates = RATES,
    channels: Count = 256,
    low_level_channels: Count = LOW_LEVEL_CHANNELS,
    separable: bool = True,
    dropout: Fraction = 0.1,
    weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> DeepLabV3Plus:
    """Build DeepLabv3+.

    `rates` are those at output stride 16 and are doubled at 8. `multi_grid` has one factor for each
    block of a residual network's last stage; the paper takes none for Xception. `weights` are the
    encoder's: a file, or "download".
    """
    return DeepLabV3Plus(
        taxonomy,
        build_encoder(
            encoder,
            in_channels=in_channels,
            output_stride=output_stride,
            weights=weights,
            multi_grid=multi_grid,
        ),
        rates=[rate * (16 // output_stride) for rate in rates],
        channels=channels,
        low_level_channels=low_level_channels,
        separable=separable,
        dropout=dropout,
        in_channels=in_channels,
        mean=mean,
        std=std,
    )
