"""PSPNet: the pyramid scene parsing network.

H. Zhao, J. Shi, X. Qi, X. Wang, J. Jia: Pyramid Scene Parsing Network, 2017, arXiv:1612.01105.

Differences from the paper:

- Maps and logits are enlarged with `align_corners=False`, so sides need not be 8 n + 1 pixels.
- The first block of a dilated stage keeps the dilation it had before its stride was taken away, as
  in timm and torchvision; the released code dilates it like the rest of the stage.
- Batch normalisation over all processes is the training's choice, not this file's.

The released ResNets begin with three 3 x 3 convolutions of 64, 64 and 128 channels in place of one
of 7 x 7: timm's `resnet50s`, `resnet101s` and `resnet152s`.
"""

from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders import Encoder, build_encoder
from segscape.layers.auxiliary_head import AuxiliaryHead
from segscape.layers.pyramid_pooling import BINS, PyramidPooling
from segscape.models.options import Count, Fraction, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_logits
from segscape.structures import Taxonomy


class PSPNet(SemanticModel):
    """A dilated encoder, pyramid pooling of its last map, and a classifier.

    Args:
        taxonomy: what the outputs mean.
        encoder: gives the maps; the last is pooled, the one before feeds the auxiliary head.
        channels: of the fused map.
        dropout: chance of dropping a channel before the classifiers, in [0, 1).
        auxiliary: train with the auxiliary head (sec. 3.3); it is not run in evaluation.
        in_channels: channels the network reads, the same as the encoder's.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    auxiliary_weight = 0.4

    def __init__(
        self,
        taxonomy: Taxonomy,
        encoder: Encoder,
        *,
        channels: int = 512,
        dropout: float = 0.1,
        auxiliary: bool = True,
        in_channels: int = 3,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.encoder = encoder
        self.pad_to = encoder.size_multiple
        self.strides = encoder.strides[-1:]
        last = encoder.channels[-1]
        # Sec. 3.2: each of the N levels has 1 / N of the map's channels.
        self.pyramid = PyramidPooling(last, max(1, last // len(BINS)), channels)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(channels, len(taxonomy), 1)
        self.auxiliary_head = (
            AuxiliaryHead(encoder.channels[-2], len(taxonomy), dropout=dropout)
            if auxiliary
            else None
        )

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits for normalised pixels whose sides are multiples of `pad_to`."""
        size = (pixels.shape[2], pixels.shape[3])
        maps = self.encoder(pixels)
        logits = resize_logits(self.classifier(self.dropout(self.pyramid(maps[-1]))), size)
        if self.auxiliary_head is None or not self.training:
            return SemanticOutputs(logits)
        return SemanticOutputs(logits, (self.auxiliary_head(maps[-2], size),))


def build_pspnet(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: str = "resnet50s",
    output_stride: Literal[8, 16, 32] = 8,
    weights: Path | Literal["download"] | None = None,
    channels: Count = 512,
    dropout: Fraction = 0.1,
    auxiliary: bool = True,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> PSPNet:
    """Build PSPNet; `weights` are the encoder's: a file, or "download" for timm's."""
    return PSPNet(
        taxonomy,
        build_encoder(
            encoder, in_channels=in_channels, output_stride=output_stride, weights=weights
        ),
        channels=channels,
        dropout=dropout,
        auxiliary=auxiliary,
        in_channels=in_channels,
        mean=mean,
        std=std,
    )
