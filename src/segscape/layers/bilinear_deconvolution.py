"""Upsampling by a transposed convolution that begins as, or stays, bilinear interpolation.

J. Long, E. Shelhamer, T. Darrell: Fully Convolutional Networks for Semantic Segmentation, 2015,
arXiv:1411.4038, sec. 3.3.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def bilinear_kernel(stride: int, side: int | None = None) -> Float[Tensor, "side side"]:
    """The kernel whose transposed convolution interpolates between pixels `stride` apart.

    Args:
        stride: output pixels per input pixel.
        side: taps in a row: 2 x stride (None) puts each input between two outputs, 2 x stride - 1
            on one.

    >>> bilinear_kernel(2)[0].tolist()
    [0.0625, 0.1875, 0.1875, 0.0625]
    >>> bilinear_kernel(2, 3)[1].tolist()
    [0.5, 1.0, 0.5]
    """
    side = side or 2 * stride
    # A triangle of half-width `stride` around the middle of the taps.
    distance = (torch.arange(side) - (side - 1) / 2).abs()
    line = 1 - distance / stride
    return line[:, None] * line[None, :]


class BilinearDeconvolution(nn.Module):
    """A transposed convolution without bias whose output is not cropped.

    A frozen one holds no parameters and works channel by channel; a learned one mixes channels as
    Caffe's does, from a kernel that is bilinear on the diagonal and zero elsewhere.

    Args:
        channels: of input and output.
        stride: output pixels per input pixel.
        learned: whether training may change the kernel.
        side: of the kernel; None for 2 x stride.
    """

    kernel: Tensor

    def __init__(
        self, channels: int, *, stride: int, learned: bool, side: int | None = None
    ) -> None:
        super().__init__()
        self.stride = stride
        bilinear = bilinear_kernel(stride, side)
        if learned:
            dense = torch.zeros(channels, channels, *bilinear.shape)
            dense[range(channels), range(channels)] = bilinear
            self.kernel = nn.Parameter(dense)
            self.groups = 1
        else:
            kernel = bilinear.expand(channels, 1, -1, -1).clone()
            self.register_buffer("kernel", kernel, persistent=False)
            self.groups = channels

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel out_height out_width"]:
        """A map of (n - 1) x stride + side pixels for n pixels."""
        return F.conv_transpose2d(x, self.kernel, stride=self.stride, groups=self.groups)
