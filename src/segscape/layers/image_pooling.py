"""The mean of a whole map as a feature of each of its pixels.

W. Liu, A. Rabinovich, A. Berg: ParseNet, 2015, arXiv:1506.04579; L.-C. Chen et al. 2017,
arXiv:1706.05587, sec. 3.3.

Differences from the papers: none, but where one image is a whole batch: its mean is then one value
per channel, of which batch normalisation cannot take a variance, and the running statistics are
used in training too.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from segscape.layers.batch_norm import normalize_pooled
from segscape.layers.conv import ConvBatchNormReLU


class PooledConv(ConvBatchNormReLU):
    """A 1 x 1 convolution, batch normalisation and ReLU over a map of few pixels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=1)

    def forward(
        self, x: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """The activated map; one pixel of one image will do."""
        return F.relu(normalize_pooled(self.norm, self.conv(x)), inplace=True)


class ImagePooling(PooledConv):
    """The global average through a `PooledConv`, spread over the map."""

    def forward(
        self, x: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """One value per channel, shown at every pixel."""
        return super().forward(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
