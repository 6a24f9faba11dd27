"""U-Net, as published.

O. Ronneberger, P. Fischer, T. Brox: U-Net: Convolutional Networks for Biomedical Image
Segmentation, MICCAI 2015, arXiv:1505.04597.

Differences from the paper: none in the network with its four poolings; `levels` makes it shallower
or deeper. The paper gives the sizes of one tile (572 -> 388) and says that the border is predicted
by mirroring; here any image is mirrored just as far as its valid output needs (fig. 2), so that
logits of the image's size come out. The paper puts dropout "at the end of the contracting path" and
gives no rate; the released Caffe file drops one half after the fourth and the fifth level, here
after the last two. The paper averages the predictions for seven rotations of an image without
naming the angles; a `Segmenter` with flips and turns averages the eight symmetries of the square.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.layers.mirror import mirrored_tiles
from segscape.models.options import Count, Fraction, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.structures import ImageBatch, Taxonomy

PAPER_LEVELS = 4


class TwoConvolutions(nn.Module):
    """Two unpadded 3 x 3 convolutions, each with ReLU: the side shrinks by 4 pixels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels, 3)
        self.second = nn.Conv2d(out_channels, out_channels, 3)

    def forward(
        self, x: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch out height-4 width-4"]:
        """The activated map."""
        return F.relu(self.second(F.relu(self.first(x), inplace=True)), inplace=True)


class UNet(SemanticModel):
    """The U-shaped network of valid convolutions, with its overlap-tile strategy.

    Args:
        taxonomy: what the outputs mean.
        in_channels: channels the network reads; the paper's microscopy images have one.
        channels: of the first level, doubled by each pooling; 64 in the paper.
        levels: how many poolings there are, 1 or more; 4 in the paper.
        dropout: chance of dropping an activation before the last pooling and at the bottom, in
            [0, 1).
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        in_channels: int = 1,
        channels: int = 64,
        levels: int = PAPER_LEVELS,
        dropout: float = 0.5,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.strides = tuple(2**level for level in range(levels + 1))
        widths = [channels * stride for stride in self.strides]
        self.contracting = nn.ModuleList(
            TwoConvolutions(before, after)
            for before, after in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in reversed(widths[:-1])
        )
        self.expanding = nn.ModuleList(
            TwoConvolutions(2 * width, width) for width in reversed(widths[:-1])
        )
        self.classifier = nn.Conv2d(channels, len(taxonomy), 1)
        self.levels = levels
        self.dropout = dropout
        self._initialize()

    def _initialize(self) -> None:
        # Sec. 3: a Gaussian of standard deviation sqrt(2/N), N being the number of incoming nodes
        # of one neuron.
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                incoming = module.in_channels
                if isinstance(module, nn.Conv2d):  # an up-convolution's output sees one input pixel
                    incoming *= module.kernel_size[0] * module.kernel_size[1]
                nn.init.normal_(module.weight, std=(2 / incoming) ** 0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: ImageBatch) -> SemanticOutputs:
        """Compute logits of the batch's size by mirroring each image at its own border."""
        height, width = images.pixels.shape[2:]
        tiles = mirrored_tiles(
            self.normalize(images.pixels),
            images.sizes,
            margin=context(self.levels),
            tile=(covering_side(height, self.levels), covering_side(width, self.levels)),
        )
        outputs = self.score(tiles)
        return SemanticOutputs(outputs.logits[:, :, :height, :width])

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute the valid logits of tiles whose sides `covering_side` gives: 572 -> 388."""
        x = pixels
        copies: list[Tensor] = []
        for level, block in enumerate(self.contracting):
            x = block(x)
            if level >= self.levels - 1:
                x = F.dropout(x, self.dropout, self.training)
            if level < self.levels:
                copies.append(x)
                x = F.max_pool2d(x, 2)
        for up, block in zip(self.up, self.expanding, strict=True):
            x = F.relu(up(x), inplace=True)
            copy = crop_to_center(copies.pop(), x.shape[2], x.shape[3])
            x = block(torch.cat([copy, x], dim=1))
        return SemanticOutputs(self.classifier(x))


def context(levels: int = PAPER_LEVELS) -> int:
    """Pixels lost at each side of a tile.

    >>> context()  # (572 - 388) / 2
    92
    """
    lost = 4 * 2**levels  # the deepest level loses 4 of its pixels, each worth 2 ** levels
    lost += sum(2 * 4 * 2**level for level in range(levels))  # those above lose 4 down and 4 up
    return lost // 2


def covering_side(output: int, levels: int = PAPER_LEVELS) -> int:
    """The smallest tile side that is even before each pooling and whose output covers `output`.

    >>> covering_side(388), covering_side(389), covering_side(1)
    (572, 588, 188)
    """
    step = 2**levels
    # Each pooling needs an even side: n, (n - 4) / 2 and so on, which leaves n = k * step + fitted.
    fitted = sum(4 * 2**level for level in range(levels))
    needed = output + 2 * context(levels) - fitted
    return -(-needed // step) * step + fitted


def crop_to_center(
    x: Float[Tensor, "batch channel _ _"], height: int, width: int
) -> Float[Tensor, "batch channel {height} {width}"]:
    """Cut the middle out of a map, as the copies of the contracting path are."""
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]


def build_unet_2015(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    channels: Count = 64,
    levels: Count = PAPER_LEVELS,
    dropout: Fraction = 0.5,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> UNet:
    """Build the published network; `channels` are those of its first level, `levels` poolings."""
    return UNet(
        taxonomy,
        in_channels=in_channels,
        channels=channels,
        levels=levels,
        dropout=dropout,
        mean=mean,
        std=std,
    )
