"""RefineNet: a cascade of blocks, each of which refines a coarse map with a finer one.

G. Lin, A. Milan, C. Shen, I. Reid: RefineNet: Multi-Path Refinement Networks for High-Resolution
Semantic Segmentation, 2017, arXiv:1611.06612.

Differences from the paper:

- Maps and logits are enlarged with `align_corners=False`.
- The authors train on one image at a time with the encoder's batch normalisation held at ImageNet's
  statistics and a tenth of the learning rate there: both belong to the training, not to this file.

Where the paper and the authors' code disagree, `variant` decides:

| | "paper" | "released" |
|---|---|---|
| links of the chained residual pooling | 2 | 4 (the code names both) |
| each link | pool, then convolve | convolve, then pool |
| residual units after it | 1, and 2 more before the classifier | 3 |
"""

from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders import Encoder, build_encoder
from segscape.layers.refine import ChainedResidualPooling
from segscape.models.options import Count, Fraction, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_logits, resize_maps
from segscape.structures import Taxonomy

Variant = Literal["paper", "released"]
LINKS: dict[Variant, int] = {"paper": 2, "released": 4}
OUTPUT_UNITS: dict[Variant, int] = {"paper": 1, "released": 3}
EXTRA_UNITS: dict[Variant, int] = {"paper": 2, "released": 0}
FINEST_STRIDE = 4


class ResidualConvUnit(nn.Module):
    """Two 3 x 3 convolutions, each after a ReLU, added to their input (fig. 2 (b)).

    There is no batch normalisation; only the first convolution has a bias, as in the code.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The refined map."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x)), inplace=True))


class RefineBlock(nn.Module):
    """One block of the cascade (fig. 2 (a)): adapt, fuse, pool, and convolve once more.

    Args:
        in_channels: of the encoder's map.
        coarse_channels: of the block before; None for the coarsest, which has nothing to fuse.
        channels: of the block.
        variant: see the module.
    """

    def __init__(
        self, in_channels: int, coarse_channels: int | None, channels: int, *, variant: Variant
    ) -> None:
        super().__init__()
        self.reduce = conv3x3(in_channels, channels)
        self.adapt = nn.Sequential(ResidualConvUnit(channels), ResidualConvUnit(channels))
        if coarse_channels is not None:
            self.fuse_fine = conv3x3(channels, channels)
            self.fuse_coarse = conv3x3(coarse_channels, channels)
        self.pool = ChainedResidualPooling(
            channels, links=LINKS[variant], pool_first=variant == "paper"
        )
        self.output = nn.Sequential(
            *(ResidualConvUnit(channels) for _ in range(OUTPUT_UNITS[variant]))
        )

    def forward(
        self,
        fine: Float[Tensor, "batch _ height width"],
        coarse: Float[Tensor, "batch _ _ _"] | None,
    ) -> Float[Tensor, "batch channel height width"]:
        """The refined map, of the fine one's size."""
        x = self.adapt(self.reduce(fine))
        if coarse is not None:
            enlarged = resize_maps(self.fuse_coarse(coarse), (x.shape[2], x.shape[3]))
            x = self.fuse_fine(x) + enlarged
        return self.output(self.pool(x))


class RefineNet(SemanticModel):
    """An encoder and one block per map, coarsest first.

    Args:
        taxonomy: what the outputs mean.
        encoder: its maps of stride 4 and more are refined.
        channels: of the blocks; the coarsest has twice as many.
        variant: see the module.
        dropout: chance of dropping an activation before the classifier, in [0, 1).
        in_channels: channels the network reads, the same as the encoder's.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        encoder: Encoder,
        *,
        channels: int = 256,
        variant: Variant = "paper",
        dropout: float = 0.5,
        in_channels: int = 3,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.pad_to = encoder.size_multiple
        self._first = sum(stride < FINEST_STRIDE for stride in encoder.strides)
        self.strides = encoder.strides[self._first :]
        blocks: list[RefineBlock] = []
        before: int | None = None
        for depth in reversed(encoder.channels[self._first :]):
            width = 2 * channels if before is None else channels
            blocks.append(RefineBlock(depth, before, width, variant=variant))
            before = width
        # Sec. 3.2: three residual units lie between blocks, and so before the classifier.
        last_units = [ResidualConvUnit(channels) for _ in range(EXTRA_UNITS[variant])]
        self.blocks = nn.ModuleList(blocks)
        self.last_units = nn.Sequential(*last_units)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv2d(channels, len(taxonomy), 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # Last, for its weights are not to be drawn anew.
        self.encoder = encoder

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits for normalised pixels whose sides are multiples of `pad_to`."""
        maps = self.encoder(pixels)[self._first :]
        x = None
        for block, fine in zip(self.blocks, reversed(maps), strict=True):
            x = block(fine, x)
        logits = self.classifier(self.dropout(self.last_units(x)))
        return SemanticOutputs(resize_logits(logits, (pixels.shape[2], pixels.shape[3])))


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A padded 3 x 3 convolution without bias."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)


def build_refinenet(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: str = "resnet50",
    weights: Path | Literal["download"] | None = None,
    channels: Count = 256,
    variant: Variant = "paper",
    dropout: Fraction = 0.5,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> RefineNet:
    """Build RefineNet; `weights` are the encoder's: a file, or "download" for timm's."""
    return RefineNet(
        taxonomy,
        build_encoder(encoder, in_channels=in_channels, weights=weights),
        channels=channels,
        variant=variant,
        dropout=dropout,
        in_channels=in_channels,
        mean=mean,
        std=std,
    )
