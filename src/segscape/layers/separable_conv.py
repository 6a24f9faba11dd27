"""Depthwise separable convolution, as in Xception and DeepLabv3+.

F. Chollet: Xception, 2017, arXiv:1610.02357; L.-C. Chen et al. 2018, arXiv:1802.02611, sec. 3.1,
for its atrous form.

Differences from the papers: Xception has no nonlinearity between the two convolutions; here, as in
DeepLabv3+ (sec. 3.2), batch normalisation and ReLU follow each.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.layers.atrous_conv import DepthwiseAtrousConv2d
from segscape.layers.conv import ConvBatchNormReLU


class SeparableConvBatchNormReLU(nn.Module):
    """A 3 x 3 convolution of each channel alone, then a 1 x 1 one over all channels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        dilation: distance of the depthwise kernel's taps in pixels.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dilation: int = 1) -> None:
        super().__init__()
        conv = nn.Conv2d if dilation == 1 else DepthwiseAtrousConv2d
        self.depthwise = conv(
            in_channels,
            in_channels,
            3,
            padding=dilation,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        nn.init.kaiming_normal_(self.depthwise.weight, nonlinearity="relu")
        self.norm = nn.BatchNorm2d(in_channels)
        self.pointwise = ConvBatchNormReLU(in_channels, out_channels, kernel_size=1)

    def forward(
        self, x: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """The activated map, of the input's size."""
        return self.pointwise(F.relu(self.norm(self.depthwise(x)), inplace=True))
