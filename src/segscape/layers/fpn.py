"""The top-down pathway of the feature pyramid network.

T.-Y. Lin, P. Dollar, R. Girshick, K. He, B. Hariharan, S. Belongie: Feature Pyramid Networks for
Object Detection, 2017, arXiv:1612.03144, sec. 3 and fig. 3.

Differences from the paper: as networks for segmentation have it (T. Xiao et al. 2018,
arXiv:1807.10221), batch normalisation and ReLU follow each convolution, maps are enlarged
bilinearly in place of nearest, and the coarsest level is given from outside.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from segscape.layers.conv import ConvBatchNormReLU
from segscape.ops.resize import resize_maps


class FPN(nn.Module):
    """Adds to each map the enlarged sum of all coarser ones, then smooths it.

    Args:
        in_channels: of each map but the coarsest, finest first.
        out_channels: of every level.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            ConvBatchNormReLU(channels, out_channels, kernel_size=1) for channels in in_channels
        )
        self.smooth = nn.ModuleList(
            ConvBatchNormReLU(out_channels, out_channels) for _ in in_channels
        )

    def forward(
        self, maps: Sequence[Float[Tensor, "batch _ _ _"]], top: Float[Tensor, "batch out _ _"]
    ) -> list[Float[Tensor, "batch out _ _"]]:
        """The levels, finest first; the last is `top` itself."""
        x, levels = top, [top]
        for one, lateral, smooth in reversed(
            list(zip(maps, self.laterals, self.smooth, strict=True))
        ):
            fine = lateral(one)
            x = fine + resize_maps(x, (fine.shape[2], fine.shape[3]))
            levels.append(smooth(x))
        return levels[::-1]
