"""Atrous spatial pyramid pooling with image features, as DeepLabv3 and DeepLabv3+ use it.

L.-C. Chen, G. Papandreou, F. Schroff, H. Adam: Rethinking Atrous Convolution for Semantic Image
Segmentation, 2017, arXiv:1706.05587, sec. 3.3.

Differences from the paper: none. The paper leaves the dropout out, the released code drops a tenth
of the result (`dropout`). `separable` is that of DeepLabv3+ (arXiv:1802.02611, sec. 3.1).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.layers.conv import ConvBatchNormReLU
from segscape.layers.image_pooling import ImagePooling
from segscape.layers.separable_conv import SeparableConvBatchNormReLU


class ASPP(nn.Module):
    """A 1 x 1 convolution, 3 x 3 ones at several rates and the image's mean, joined and projected.

    Args:
        in_channels: channels of the input.
        rates: distance of the taps of each 3 x 3 convolution, in pixels of the map.
        out_channels: of each branch and of the output.
        separable: make the 3 x 3 convolutions depthwise separable.
        dropout: chance of dropping a value of the output, in [0, 1).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        rates: Sequence[int],
        out_channels: int = 256,
        separable: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        conv = SeparableConvBatchNormReLU if separable else ConvBatchNormReLU
        self.branches = nn.ModuleList(
            [
                ConvBatchNormReLU(in_channels, out_channels, kernel_size=1),
                *(conv(in_channels, out_channels, dilation=rate) for rate in rates),
                ImagePooling(in_channels, out_channels),
            ]
        )
        joined = len(self.branches) * out_channels
        self.project = ConvBatchNormReLU(joined, out_channels, kernel_size=1)
        self.dropout = dropout

    def forward(
        self, x: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """The projected map, of the input's size."""
        x = self.project(torch.cat([branch(x) for branch in self.branches], dim=1))
        return F.dropout(x, self.dropout, self.training)
