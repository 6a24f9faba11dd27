"""U-Net's own contracting path as an encoder, padded and normalised.

O. Ronneberger, P. Fischer, T. Brox: U-Net, 2015, arXiv:1505.04597, fig. 1.

Differences from the paper: padded convolutions, so that maps halve exactly; batch normalisation
(S. Ioffe, C. Szegedy, 2015, arXiv:1502.03167) before each ReLU, without which the network trains
slowly from scratch; no dropout.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.layers.conv import ConvBatchNormReLU
from segscape.structures import RecipeError

PREFIX = "plain"
LEVELS = 5


class PlainEncoder(nn.Module):
    """Two convolutions a level, the resolution halved and the channels doubled between levels.

    It begins at full resolution, where other encoders begin at a half or a quarter: outlines are
    sharper, and a level of 16 channels there costs as much as one of 64 at a quarter.

    Args:
        width: channels of the first level; 64 in the paper.
        in_channels: channels of the input.
        depth: levels, 5 in the paper.
    """

    def __init__(self, width: int, *, in_channels: int = 3, depth: int = LEVELS) -> None:
        super().__init__()
        self.channels = tuple(width * 2**level for level in range(depth))
        self.strides = tuple(2**level for level in range(depth))
        self.size_multiple = self.strides[-1]
        self.levels = nn.ModuleList(
            nn.Sequential(ConvBatchNormReLU(before, after), ConvBatchNormReLU(after, after))
            for before, after in zip((in_channels, *self.channels), self.channels, strict=False)
        )

    def forward(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """The map of each level, finest first."""
        maps: list[Tensor] = []
        for level in self.levels:
            maps.append(level(F.max_pool2d(maps[-1], 2) if maps else pixels))
        return maps


def build_plain(name: str, *, in_channels: int, depth: int | None) -> PlainEncoder:
    """Build `plain16`, `plain64` ...: the number is the first level's channels.

    Raises:
        RecipeError: when no such number stands behind `plain`.
    """
    digits = name.removeprefix(PREFIX)
    if not digits.isdecimal() or int(digits) == 0:
        raise RecipeError(
            f"encoder '{name}': expected the channels of the first level, as in plain16 or plain64"
        )
    return PlainEncoder(int(digits), in_channels=in_channels, depth=depth or LEVELS)
