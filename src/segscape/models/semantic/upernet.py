"""UPerNet: a feature pyramid whose top is pyramid pooling, with all levels fused.

T. Xiao, Y. Liu, B. Zhou, Y. Jiang, J. Sun: Unified Perceptual Parsing for Scene Understanding,
2018, arXiv:1807.10221.

Differences from the paper:

- One task, not five: the head is that of objects, on the fused map (sec. 3.1, fig. 4).
- 512 channels, as in the authors' code `upernet`; its `upernet_lite` takes 256.
- Pooled maps are convolved before they are enlarged, as in PSPNet; the authors' code does it after.
- Dropout of 0.1 before the classifier and the auxiliary head are not the paper's but those of
  MMSegmentation, with which the published numbers of Swin and ConvNeXt were made; that one also
  normalises their maps first.
"""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders import Encoder, build_encoder
from segscape.layers.auxiliary_head import AuxiliaryHead
from segscape.layers.fpn import FPN
from segscape.layers.joined_conv import JoinedConv2d
from segscape.layers.pyramid_pooling import PyramidPooling
from segscape.models.options import Count, Fraction, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_logits
from segscape.structures import Taxonomy

FINEST_STRIDE = 4


class UPerNet(SemanticModel):
    """An encoder, pyramid pooling of its last map, a feature pyramid, and a classifier.

    Args:
        taxonomy: what the outputs mean.
        encoder: its maps of stride 4 and more make the pyramid.
        channels: of every level.
        dropout: chance of dropping a channel before the classifiers, in [0, 1).
        auxiliary: train with an auxiliary head on the map before the last, where there is one; it
            is not run in evaluation.
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
        auxiliary: bool = False,
        in_channels: int = 3,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.encoder = encoder
        self.pad_to = encoder.size_multiple
        self._first = sum(stride < FINEST_STRIDE for stride in encoder.strides)
        self.strides = encoder.strides[self._first :]
        *finer, last = encoder.channels[self._first :]
        self.pyramid = PyramidPooling(last, channels, channels)
        self.fpn = FPN(finer, channels)
        # Dilated encoders have several maps of the finest stride: nothing is enlarged there.
        self._fine = self.strides.count(self.strides[0])
        self.fuse = JoinedConv2d(
            channels * self._fine, [channels] * (len(self.strides) - self._fine), channels
        )
        self.norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(channels, len(taxonomy), 1)
        self.auxiliary_head = (
            AuxiliaryHead(finer[-1], len(taxonomy), dropout=dropout)
            if auxiliary and finer
            else None
        )

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits for normalised pixels whose sides are multiples of `pad_to`."""
        size = (pixels.shape[2], pixels.shape[3])
        *finer, last = self.encoder(pixels)[self._first :]
        levels = self.fpn(finer, self.pyramid(last))
        fine, coarse = torch.cat(levels[: self._fine], dim=1), levels[self._fine :]
        fused = F.relu(self.norm(self.fuse(fine, coarse)), inplace=True)
        logits = resize_logits(self.classifier(self.dropout(fused)), size)
        if self.auxiliary_head is None or not self.training:
            return SemanticOutputs(logits)
        return SemanticOutputs(logits, (self.auxiliary_head(finer[-1], size),))


def build_upernet(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: str = "resnet50",
    output_stride: Literal[8, 16, 32] = 32,
    weights: Path | Literal["download"] | None = None,
    channels: Count = 512,
    dropout: Fraction = 0.1,
    auxiliary: bool = False,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> UPerNet:
    """Build UPerNet; `weights` are the encoder's: a file, or "download" for timm's."""
    return UPerNet(
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
