"""Convolution, batch normalisation and ReLU as one layer."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.layers.atrous_conv import AtrousConv2d


class ConvBatchNormReLU(nn.Module):
    """A convolution without bias, batch normalisation, then ReLU.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd side of the kernel in pixels.
        dilation: distance of the kernel's taps in pixels.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int = 3, dilation: int = 1
    ) -> None:
        super().__init__()
        self.conv = AtrousConv2d(
            in_channels,
            out_channels,
            kernel_size,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            bias=False,
        )
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(
        self, x: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """The activated map, of the input's size."""
        return F.relu(self.norm(self.conv(x)), inplace=True)
