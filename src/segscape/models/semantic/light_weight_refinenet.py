"""Light-Weight RefineNet: RefineNet with 1 x 1 convolutions and without residual units.

V. Nekrasov, C. Shen, I. Reid: Light-Weight RefineNet for Real-Time Semantic Segmentation, 2018,
arXiv:1810.03272.

Differences from the paper: maps and logits are enlarged with `align_corners=False`; convolutions
begin with torch's weights, as the authors' later training code does, in place of a normal
distribution of standard deviation 0.01. Dropout of one half on the two coarsest maps is that of the
authors' code.
"""

from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders import Encoder, build_encoder
from segscape.layers.refine import ChainedResidualPooling
from segscape.models.options import Count, Fraction, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_logits, resize_maps
from segscape.structures import Taxonomy

LINKS = 4
FINEST_STRIDE = 4
DROPPED_MAPS = 2


class LightRefineBlock(nn.Module):
    """One block of the cascade (fig. 2 of the paper): reduce, fuse and pool.

    Args:
        in_channels: of the encoder's map.
        coarse_channels: of the block before; None for the coarsest, which has nothing to fuse.
        channels: of the block.
    """

    def __init__(self, in_channels: int, coarse_channels: int | None, channels: int) -> None:
        super().__init__()
        self.reduce = conv1x1(in_channels, channels)
        if coarse_channels is not None:
            self.fuse_fine = conv1x1(channels, channels)
            self.fuse_coarse = conv1x1(coarse_channels, channels)
        self.pool = ChainedResidualPooling(channels, links=LINKS, kernel_size=1)

    def forward(
        self,
        fine: Float[Tensor, "batch _ height width"],
        coarse: Float[Tensor, "batch _ _ _"] | None,
    ) -> Float[Tensor, "batch channel height width"]:
        """The refined map, of the fine one's size."""
        x = self.reduce(fine)
        if coarse is not None:
            enlarged = resize_maps(self.fuse_coarse(coarse), (x.shape[2], x.shape[3]))
            x = self.fuse_fine(x) + enlarged
        return self.pool(x)


class LightWeightRefineNet(SemanticModel):
    """An encoder and one light block per map, coarsest first.

    Args:
        taxonomy: what the outputs mean.
        encoder: its maps of stride 4 and more are refined.
        channels: of the blocks; the coarsest has twice as many.
        dropout: chance of dropping an activation of the two coarsest maps, in [0, 1).
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
        dropout: float = 0.5,
        in_channels: int = 3,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.encoder = encoder
        self.pad_to = encoder.size_multiple
        self._first = sum(stride < FINEST_STRIDE for stride in encoder.strides)
        self.strides = encoder.strides[self._first :]
        blocks: list[LightRefineBlock] = []
        before: int | None = None
        for depth in reversed(encoder.channels[self._first :]):
            width = 2 * channels if before is None else channels
            blocks.append(LightRefineBlock(depth, before, width))
            before = width
        self.blocks = nn.ModuleList(blocks)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv2d(channels, len(taxonomy), 3, padding=1)

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits for normalised pixels whose sides are multiples of `pad_to`."""
        maps = self.encoder(pixels)[self._first :]
        x = None
        for index, (block, fine) in enumerate(zip(self.blocks, reversed(maps), strict=True)):
            x = block(self.dropout(fine) if index < DROPPED_MAPS else fine, x)
        logits = self.classifier(x)
        return SemanticOutputs(resize_logits(logits, (pixels.shape[2], pixels.shape[3])))


def conv1x1(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 1 x 1 convolution without bias."""
    return nn.Conv2d(in_channels, out_channels, 1, bias=False)


def build_light_weight_refinenet(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: str = "resnet50",
    weights: Path | Literal["download"] | None = None,
    channels: Count = 256,
    dropout: Fraction = 0.5,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> LightWeightRefineNet:
    """Build it; `weights` are the encoder's: a file, or "download" for timm's."""
    return LightWeightRefineNet(
        taxonomy,
        build_encoder(encoder, in_channels=in_channels, weights=weights),
        channels=channels,
        dropout=dropout,
        in_channels=in_channels,
        mean=mean,
        std=std,
    )
