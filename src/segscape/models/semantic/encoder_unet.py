"""The padded U-Net over any encoder: what people use today under the name of U-Net.

After O. Ronneberger, P. Fischer, T. Brox: U-Net, 2015, arXiv:1505.04597, with a classification
network as its encoder, as in V. Iglovikov, A. Shvets: TernausNet, 2018, arXiv:1801.05746.

Differences from the paper: padded convolutions, so that output and input have one size; nearest
upsampling in place of up-convolutions (`upsampling` names others, to compare them); batch
normalisation; no convolutions at full resolution on the way down, since encoders begin with a
stride of 2 or 4. With `finest_stride` 2 or 4 the climb ends there and the logits are enlarged
bilinearly, for most of a step's time goes into the last two levels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders import Encoder, build_encoder
from segscape.layers.conv import ConvBatchNormReLU
from segscape.layers.upsampled_conv import UpsampledConv2d
from segscape.layers.upsampling import UPSAMPLINGS
from segscape.models.options import Count, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_logits
from segscape.structures import RecipeError, Size, Taxonomy

DECODER_CHANNELS = (256, 128, 64, 32, 16)
# Those of `layers/upsampling.py` that need nothing but the map.
Upsampling = Literal[
    "nearest",
    "bed_of_nails",
    "bilinear",
    "bicubic",
    "transposed_convolution",
    "resize_convolution",
    "pixel_shuffle",
]


class UpsampleJoinConvolve(nn.Module):
    """What `UpsampledConv2d` does at once for nearest neighbours, step by step for any part."""

    def __init__(
        self, in_channels: int, skip_channels: int, out_channels: int, upsampling: Upsampling
    ) -> None:
        super().__init__()
        self.upsample = UPSAMPLINGS[upsampling](in_channels)
        joined = in_channels + skip_channels
        self.conv = nn.Conv2d(joined, out_channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(
        self,
        x: Float[Tensor, "batch in height width"],
        skip: Float[Tensor, "batch skip 2*height 2*width"] | None = None,
    ) -> Float[Tensor, "batch out 2*height 2*width"]:
        """The fine output."""
        fine = self.upsample(x, Size(2 * x.shape[2], 2 * x.shape[3]))
        return self.conv(fine if skip is None else torch.cat([fine, skip], dim=1))


class UpBlock(nn.Module):
    """Double the resolution, join the encoder's map of that resolution, convolve twice."""

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        upsampling: Upsampling = "nearest",
    ) -> None:
        super().__init__()
        self.conv1 = (
            UpsampledConv2d(in_channels, skip_channels, out_channels)
            if upsampling == "nearest"
            else UpsampleJoinConvolve(in_channels, skip_channels, out_channels, upsampling)
        )
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = ConvBatchNormReLU(out_channels, out_channels)

    def forward(
        self,
        x: Float[Tensor, "batch _ height width"],
        skip: Float[Tensor, "batch _ 2*height 2*width"] | None,
    ) -> Float[Tensor, "batch out 2*height 2*width"]:
        """The finer map."""
        return self.conv2(F.relu(self.norm1(self.conv1(x, skip)), inplace=True))


class EncoderUNet(SemanticModel):
    """An encoder, and a decoder that climbs back to full resolution by factors of two.

    Args:
        taxonomy: what the outputs mean.
        encoder: gives the maps; where several have one stride, the deepest is joined.
        decoder_channels: outputs of the blocks, coarsest first; an encoder of stride 32 has five
            blocks, one of stride 8 takes three.
        finest_stride: where the climb ends; 1 for full resolution.
        upsampling: how a block doubles the resolution, of `layers/upsampling.py`.
        in_channels: channels the network reads, the same as the encoder's.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.

    Raises:
        RecipeError: when the decoder has too few blocks, or a stride is no power of two.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        encoder: Encoder,
        *,
        decoder_channels: Sequence[int] = DECODER_CHANNELS,
        finest_stride: int = 1,
        upsampling: Upsampling = "nearest",
        in_channels: int = 3,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.encoder = encoder
        self.pad_to = encoder.size_multiple
        self.strides = encoder.strides
        # Later maps of one stride replace earlier ones.
        self._map_at = {stride: index for index, stride in enumerate(encoder.strides)}
        coarsest = max(encoder.strides)
        steps = coarsest.bit_length() - 1
        if any(stride != 1 << (stride.bit_length() - 1) for stride in encoder.strides):
            raise RecipeError(
                f"unet: the encoder's strides {encoder.strides} are not powers of two: choose "
                "another encoder"
            )
        if len(decoder_channels) < steps:
            raise RecipeError(
                f"unet: decoder_channels has {len(decoder_channels)} values, an encoder of stride "
                f"{coarsest} needs {steps}: give one per doubling of the resolution"
            )
        self.finest_stride = min(finest_stride, coarsest)
        strides = [coarsest >> step for step in range(1, steps + 1)]
        self._strides = [stride for stride in strides if stride >= self.finest_stride]
        blocks: list[UpBlock] = []
        before = encoder.channels[self._map_at[coarsest]]
        widths = list(decoder_channels)[len(decoder_channels) - steps :]
        for stride, width in zip(self._strides, widths[: len(self._strides)], strict=True):
            joined = self._map_at.get(stride)
            skip = 0 if joined is None else encoder.channels[joined]
            blocks.append(UpBlock(before, skip, width, upsampling=upsampling))
            before = width
        self.blocks = nn.ModuleList(blocks)
        self.classifier = nn.Conv2d(before, len(taxonomy), 3, padding=1)
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.get_parameter("bias"))

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits for normalised pixels whose sides are multiples of `pad_to`."""
        maps = self.encoder(pixels)
        x = maps[self._map_at[max(self.encoder.strides)]]
        for stride, block in zip(self._strides, self.blocks, strict=True):
            joined = self._map_at.get(stride)
            x = block(x, None if joined is None else maps[joined])
        logits = self.classifier(x)
        if self.finest_stride > 1:
            logits = resize_logits(logits, Size(*pixels.shape[2:]))
        return SemanticOutputs(logits)


def build_unet(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: str = "resnet34",
    depth: Count | None = None,
    output_stride: Literal[8, 16, 32] = 32,
    weights: Path | Literal["download"] | None = None,
    decoder_channels: tuple[Count, ...] = DECODER_CHANNELS,
    finest_stride: Literal[1, 2, 4] = 1,
    upsampling: Upsampling = "nearest",
    mean: PerChannel = None,
    std: PerChannel = None,
) -> EncoderUNet:
    """Build the padded U-Net.

    `depth` is how many of the encoder's maps are used, None for all: small images need fewer.
    `upsampling` names the part of `layers/upsampling.py` that doubles the resolution; "nearest" is
    fused with the convolution behind it.
    `weights` are the encoder's: a file, or "download" for timm's.
    """
    return EncoderUNet(
        taxonomy,
        build_encoder(
            encoder,
            in_channels=in_channels,
            output_stride=output_stride,
            weights=weights,
            depth=depth,
        ),
        decoder_channels=decoder_channels,
        finest_stride=finest_stride,
        upsampling=upsampling,
        in_channels=in_channels,
        mean=mean,
        std=std,
    )
