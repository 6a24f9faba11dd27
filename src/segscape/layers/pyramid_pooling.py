"""The pyramid pooling module.

H. Zhao, J. Shi, X. Qi, X. Wang, J. Jia: Pyramid Scene Parsing Network, 2017, arXiv:1612.01105,
sec. 3.2 and fig. 3.

Differences from the paper: pooled maps are enlarged with `align_corners=False`, the one resize rule
here; a pooled map of one pixel in all is normalised by running statistics, since one value has no
variance. Pooling is a product with a matrix of zeros and ones, which exports and gives the same
gradient at every run.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.layers.image_pooling import PooledConv
from segscape.layers.joined_conv import JoinedConv2d

BINS = (1, 2, 3, 6)


class PyramidPooling(nn.Module):
    """Averages over 1, 4, 9 and 36 parts of the map, joined with it and fused.

    Args:
        in_channels: of the map.
        pooled_channels: of each pooled map after its 1 x 1 convolution.
        out_channels: of the output.
        bins: parts per side of each level.
    """

    def __init__(
        self,
        in_channels: int,
        pooled_channels: int,
        out_channels: int,
        *,
        bins: Sequence[int] = BINS,
    ) -> None:
        super().__init__()
        self.bins = tuple(bins)
        self.levels = nn.ModuleList(PooledConv(in_channels, pooled_channels) for _ in bins)
        self.fuse = JoinedConv2d(in_channels, [pooled_channels] * len(bins), out_channels)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(
        self, x: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """The fused map, of the input's size."""
        pooled = average_bins(x, self.bins)
        levels = [level(one) for level, one in zip(self.levels, pooled, strict=True)]
        return F.relu(self.norm(self.fuse(x, levels)), inplace=True)


def average_bins(
    x: Float[Tensor, "batch channel _ _"], bins: Sequence[int]
) -> list[Float[Tensor, "batch channel _ _"]]:
    """Average a map over `bin` x `bin` windows that cover it, for each of several bins.

    Windows are those of `torch.nn.functional.adaptive_avg_pool2d`: they overlap by a pixel where
    the bins do not divide the side, and repeat pixels where there are fewer pixels than bins.

    Args:
        x: any size.
        bins: windows per side, each at least 1.

    >>> [one.flatten().tolist() for one in average_bins(torch.tensor([[[[1.0, 2, 3]]]]), [1, 2])]
    [[2.0], [1.5, 2.5, 1.5, 2.5]]
    """
    batch, channels, height, width = x.shape
    rows = [_windows(height, number).to(x) for number in bins]
    lines = torch.cat(rows) @ x.permute(0, 2, 3, 1).reshape(batch, height, -1)
    lines = lines.reshape(batch, -1, width, channels)
    pooled: list[Tensor] = []
    for number, row, line in zip(bins, rows, lines.split(list(bins), dim=1), strict=True):
        column = _windows(width, number).to(x)
        counts = row.float().sum(1)[:, None, None] * column.float().sum(1)[:, None]
        pooled.append(((column @ line) / counts).to(x.dtype).permute(0, 3, 1, 2))
    return pooled


def _windows(length: int, number: int) -> Float[Tensor, "{number} {length}"]:
    """1 where a pixel of a line belongs to a window, else 0: sums of them are exact in bf16 too."""
    windows, places = torch.arange(number)[:, None], torch.arange(length)
    start = windows * length // number
    stop = ((windows + 1) * length + number - 1) // number
    return ((places >= start) & (places < stop)).float()
