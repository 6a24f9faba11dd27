"""DeepLabv3: atrous spatial pyramid pooling with image features, on a multi-grid ResNet.

L.-C. Chen, G. Papandreou, F. Schroff, H. Adam: Rethinking Atrous Convolution for Semantic Image
Segmentation, 2017, arXiv:1706.05587.

Differences from the paper: logits are enlarged pixel area by pixel area on sides that are multiples
of the stride; the authors enlarge corner to corner on sides of a multiple and one (513). The
residual network is timm's, whose stages stride in their first block and not in their last. What
the paper calls cascading blocks (sec. 3.2) is left out; the pyramid was better.

Weights of a network of stride 16 fit one of stride 8, which the authors use to predict.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from segscape.encoders import Encoder, build_encoder
from segscape.layers.aspp import ASPP
from segscape.layers.score_layer import score_layer
from segscape.models.options import Count, Fraction, PerChannel, Rates
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_logits
from segscape.structures import Size, Taxonomy

# Sec. 3.3: at an output stride of 16; doubled at 8.
RATES = (6, 12, 18)
# Sec. 4.1: the unit rates of the three blocks of the last stage.
MULTI_GRID = (1, 2, 4)


class DeepLabV3(SemanticModel):
    """An encoder that keeps its resolution, atrous spatial pyramid pooling, and one score layer.

    Args:
        taxonomy: what the outputs mean.
        encoder: its coarsest map is read.
        rates: distance of the taps of the pyramid's convolutions, in pixels of that map.
        channels: of the pyramid's branches and of its result.
        dropout: chance of dropping a value of the result, in [0, 1).
        in_channels: channels the network reads, the same as the encoder's.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        encoder: Encoder,
        *,
        rates: Sequence[int] = RATES,
        channels: int = 256,
        dropout: float = 0.1,
        in_channels: int = 3,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.encoder = encoder
        self.pad_to = encoder.size_multiple
        self.strides = (encoder.strides[-1],)
        self.aspp = ASPP(encoder.channels[-1], rates=rates, out_channels=channels, dropout=dropout)
        self.classifier = score_layer(channels, len(taxonomy))

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits for normalised pixels whose sides are multiples of `pad_to`."""
        logits = self.classifier(self.aspp(self.encoder(pixels)[-1]))
        # Sec. 4.1: the logits are enlarged, not the labels shrunk.
        return SemanticOutputs(resize_logits(logits, Size(*pixels.shape[2:])))


def build_deeplab_v3(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: str = "resnet101",
    output_stride: Literal[8, 16] = 16,
    multi_grid: tuple[Count, ...] | None = MULTI_GRID,
    rates: Rates = RATES,
    channels: Count = 256,
    dropout: Fraction = 0.1,
    weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> DeepLabV3:
    """Build DeepLabv3.

    `rates` are those at output stride 16 and are doubled at 8. `multi_grid` has one factor for each
    block of the encoder's last stage, null for encoders without such blocks. `weights` are the
    encoder's: a file, or "download".
    """
    return DeepLabV3(
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
        dropout=dropout,
        in_channels=in_channels,
        mean=mean,
        std=std,
    )
