"""DeepLabv2: atrous spatial pyramid pooling, on VGG16 or on a residual network.

L.-C. Chen, G. Papandreou, I. Kokkinos, K. Murphy, A. Yuille: DeepLab: Semantic Image Segmentation
with Deep Convolutional Nets, Atrous Convolution, and Fully Connected CRFs, 2016, arXiv:1606.00915.

Differences from the paper:

- The fully connected CRF is not part of the network: it refines scores after it, as the Refiner
  `classical/dense_crf.py`. In the paper: 10 iterations; a smoothness kernel of weight 3 and 3
  pixels; an appearance kernel of weight 3 to 6, 30 to 100 pixels and 3 to 6 levels of colour in
  0..255, searched on validation images, as `segscape tune` does. Released were the settings
  deeplab_v2_resnet101 and deeplab_v2_vgg16.
- Logits are enlarged to the labels' size in training too; the paper shrinks the labels eight times.
- The authors freeze the residual network's batch normalisation: a recipe's freeze_batch_norm does.
- Input: red, green, blue, normalised as for the public weights; the released code feeds blue,
  green, red in 0..255 minus their mean.
- On VGG16 only the convolutions begin from public weights; fc6 and fc7 begin random.

The branches' scores are summed, in the paper and in the code; DeepLabv3 joins features instead.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders import Encoder, build_encoder
from segscape.encoders.vgg import AtrousVGG16
from segscape.layers.large_field_of_view import LargeFieldOfView
from segscape.layers.score_layer import score_layer
from segscape.models.options import Count, Fraction, PerChannel, Rates
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.grid import read_grid
from segscape.ops.resize import resize_maps
from segscape.structures import RecipeError, Size, Taxonomy

STRIDE = 8
# Table 3: ASPP-L; ASPP-S is (2, 4, 8, 12), LargeFOV is (12,).
RATES = (6, 12, 18, 24)
# Sec. 4.1.2: inputs shrunk to these, besides the image itself.
SCALES = (0.75, 0.5)


class DeepLabV2(SemanticModel):
    """A trunk of stride 8 and branches of several rates, whose scores are added up.

    Args:
        taxonomy: what the outputs mean.
        trunk: `AtrousVGG16`, whose branches are fc6, fc7 and fc8 each (fig. 7), or an encoder of
            stride 8, whose branches are one convolution each.
        rates: distance of the taps of each branch, in pixels of the map of stride 8.
        hidden_channels: of fc6 and fc7, on VGG16 only.
        dropout: chance of dropping an activation after fc6 and fc7, on VGG16 only.
        multi_scale: score the image at 0.75 and 0.5 of its size too and take the highest score of
            each pixel and category; in training each scale has a loss of its own.
        in_channels: channels the network reads, the same as the trunk's.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    strides = (STRIDE,)
    # The released code weighs the losses of the scales and of their maximum alike.
    auxiliary_weight = 1.0

    def __init__(
        self,
        taxonomy: Taxonomy,
        trunk: AtrousVGG16 | Encoder,
        *,
        rates: Sequence[int] = RATES,
        hidden_channels: int = 1024,
        dropout: float = 0.5,
        multi_scale: bool = False,
        in_channels: int = 3,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.trunk = trunk
        self.scales = SCALES if multi_scale else ()
        # Scores of VGG16 stand on points, 8 pixels apart; those of encoders fill areas.
        self.on_points = isinstance(trunk, AtrousVGG16)
        self._multiple = trunk.size_multiple
        # Half of the smallest image still has the two positions batch normalisation needs.
        halving = 2 if multi_scale and not self.on_points else 1
        self.pad_to = trunk.size_multiple * halving
        channels, count = trunk.channels[-1], len(taxonomy)
        self.branches = nn.ModuleList(
            LargeFieldOfView(channels, count, rate=rate, channels=hidden_channels, dropout=dropout)
            if self.on_points
            else score_layer(channels, count, kernel_size=3, rate=rate)
            for rate in rates
        )

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits for normalised pixels whose sides are multiples of `pad_to`."""
        size = Size(*pixels.shape[2:])
        scores = self._branch_scores(pixels)
        if not self.scales:
            return SemanticOutputs(self._enlarge(scores, size, scale=1.0))
        shrunk = [
            (scale, self._branch_scores(self._shrink(pixels, scale))) for scale in self.scales
        ]
        highest = scores
        for scale, smaller in shrunk:
            highest = torch.maximum(highest, self._like(smaller, scores, scale=scale))
        # Heads that only the loss reads are not enlarged where there is none.
        single = [(1.0, scores), *shrunk] if self.training else []
        return SemanticOutputs(
            self._enlarge(highest, size, scale=1.0),
            tuple(self._enlarge(one, size, scale=scale) for scale, one in single),
        )

    def _branch_scores(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch category _ _"]:
        features = self.trunk(pixels)[-1]
        scores = torch.stack([branch(features) for branch in self.branches]).sum(0)
        return scores.float().contiguous()

    def _shrink(
        self, pixels: Float[Tensor, "batch channel _ _"], scale: float
    ) -> Float[Tensor, "batch channel _ _"]:
        unit = self._multiple
        height, width = (max(1, round(side * scale / unit)) * unit for side in pixels.shape[2:])
        return resize_maps(pixels, Size(height, width))

    def _like(
        self,
        smaller: Float[Tensor, "batch category _ _"],
        scores: Float[Tensor, "batch category height width"],
        *,
        scale: float,
    ) -> Float[Tensor, "batch category height width"]:
        size = Size(*scores.shape[2:])
        if self.on_points:
            return read_grid(smaller, size, step=scale)
        return resize_maps(smaller, size)

    def _enlarge(
        self, scores: Float[Tensor, "batch category _ _"], size: Size, *, scale: float
    ) -> Float[Tensor, "batch category _ _"]:
        if self.on_points:
            return read_grid(scores, size, step=scale / STRIDE)
        return resize_maps(scores, size)


def build_deeplab_v2(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: str = "resnet101",
    rates: Rates = RATES,
    multi_scale: bool = False,
    hidden_channels: Count | None = None,
    dropout: Fraction | None = None,
    weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> DeepLabV2:
    """Build DeepLabv2.

    `encoder` is `vgg16` for the paper's own VGG16, else any that can keep a stride of 8; `weights`
    are its public ones: a file, or "download". `hidden_channels` (1,024) and `dropout` (0.5) belong
    to VGG16.
    """
    for option, value in (("hidden_channels", hidden_channels), ("dropout", dropout)):
        if value is not None and encoder != "vgg16":
            raise RecipeError(
                f"deeplab_v2: {option}={value} is for encoder=vgg16, and the encoder is "
                f"'{encoder}': leave it out"
            )
    return DeepLabV2(
        taxonomy,
        AtrousVGG16(in_channels=in_channels, weights=weights)
        if encoder == "vgg16"
        else build_encoder(encoder, in_channels=in_channels, output_stride=STRIDE, weights=weights),
        rates=rates,
        hidden_channels=1024 if hidden_channels is None else hidden_channels,
        dropout=0.5 if dropout is None else dropout,
        multi_scale=multi_scale,
        in_channels=in_channels,
        mean=mean,
        std=std,
    )
