"""SegFormer: a hierarchical transformer and a decoder of linear layers.

E. Xie, W. Wang, Z. Yu, A. Anandkumar, J. M. Alvarez, P. Luo: SegFormer: Simple and Efficient Design
for Semantic Segmentation with Transformers, 2021, arXiv:2105.15203.

Differences from the paper: batch normalisation and ReLU after the fusing layer, and dropout of
whole channels before the classifier, are those of the authors' code; the decoder takes any encoder.

Equations 4 to 6 of the paper lift each map to one width, enlarge, join and fuse them. Nothing but
linear steps lies between lifting and fusing, and a product over channels commutes with enlarging:
the two layers are multiplied into one, applied where the map is small, and the enlarged results are
added up. The result is the same but for rounding, with an eighth of the products at the finest map
of MiT-B0.
"""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders import Encoder, build_encoder
from segscape.encoders.mix_transformer import SIZES, build_mix_transformer
from segscape.models.options import Count, Fraction, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_logits, resize_maps
from segscape.structures import Taxonomy

FINEST_STRIDE = 4
SMALL_ENCODERS = ("mit_b0", "mit_b1")


class MLPDecoder(nn.Module):
    """Lift, enlarge, join and fuse maps of several sizes (sec. 3.2, eqs. 4 to 6).

    Args:
        in_channels: of each map, finest first.
        channels: of the lifted maps and of the output.
    """

    def __init__(self, in_channels: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lift = nn.ModuleList(nn.Linear(count, channels) for count in in_channels)
        self.fuse = nn.Linear(len(in_channels) * channels, channels, bias=False)
        nn.init.kaiming_normal_(self.fuse.weight, nonlinearity="relu")
        self.norm = nn.BatchNorm2d(channels)

    def forward(
        self, maps: list[Float[Tensor, "batch _ _ _"]]
    ) -> Float[Tensor, "batch channel height width"]:
        """The fused map, of the first map's size."""
        size = (maps[0].shape[2], maps[0].shape[3])
        parts = self.fuse.weight.chunk(len(maps), dim=1)
        total: Tensor | None = None
        for x, lift, part in zip(maps, self.lift, parts, strict=True):
            weight = part @ lift.get_parameter("weight")
            bias = torch.mv(part, lift.get_parameter("bias"))
            lifted = resize_maps(F.conv2d(x, weight[:, :, None, None], bias), size)
            total = lifted if total is None else total + lifted
        return F.relu(self.norm(total), inplace=True)


class SegFormer(SemanticModel):
    """An encoder and a decoder of linear layers.

    Args:
        taxonomy: what the outputs mean.
        encoder: its maps of stride 4 and more are decoded.
        decoder_channels: of the fused map.
        dropout: chance of dropping a channel before the classifier, in [0, 1).
        in_channels: channels the network reads, the same as the encoder's.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        encoder: Encoder,
        *,
        decoder_channels: int = 256,
        dropout: float = 0.1,
        in_channels: int = 3,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.encoder = encoder
        self.pad_to = encoder.size_multiple
        self._first = sum(stride < FINEST_STRIDE for stride in encoder.strides)
        self.strides = encoder.strides[self._first :]
        self.decoder = MLPDecoder(encoder.channels[self._first :], decoder_channels)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(decoder_channels, len(taxonomy), 1)

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits for normalised pixels whose sides are multiples of `pad_to`."""
        maps = self.encoder(pixels)[self._first :]
        logits = self.classifier(self.dropout(self.decoder(maps)))
        return SemanticOutputs(resize_logits(logits, (pixels.shape[2], pixels.shape[3])))


def build_segformer(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: str = "mit_b0",
    weights: Path | Literal["download"] | None = None,
    decoder_channels: Count | None = None,
    drop_path: Fraction = 0.1,
    dropout: Fraction = 0.1,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> SegFormer:
    """Build SegFormer.

    `weights` are the encoder's: a file, or "download" for timm's. `decoder_channels` of None are
    768 over MiT-B2 to B5 and 256 over others. `drop_path` is the chance of skipping the last block
    of a MiT encoder in training, earlier blocks less; other encoders have none.
    """
    large = encoder in SIZES and encoder not in SMALL_ENCODERS
    return SegFormer(
        taxonomy,
        build_mix_transformer(
            encoder, in_channels=in_channels, weights=weights, drop_path=drop_path
        )
        if encoder in SIZES
        else build_encoder(encoder, in_channels=in_channels, weights=weights),
        decoder_channels=decoder_channels or (768 if large else 256),
        dropout=dropout,
        in_channels=in_channels,
        mean=mean,
        std=std,
    )
