"""A second classifier on an earlier map, whose loss helps to train what lies below it.

H. Zhao, J. Shi, X. Qi, X. Wang, J. Jia: Pyramid Scene Parsing Network, 2017, arXiv:1612.01105,
sec. 3.3.

Differences from the paper: none; it gives the loss, the released code the layers.
"""

from jaxtyping import Float
from torch import Tensor, nn

from segscape.layers.conv import ConvBatchNormReLU
from segscape.ops.resize import resize_logits

CHANNELS = 256


class AuxiliaryHead(nn.Module):
    """A 3 x 3 convolution, dropout of whole channels and a 1 x 1 classifier.

    Args:
        in_channels: of the map it reads.
        categories: of the logits.
        dropout: chance of dropping a channel, in [0, 1).
    """

    def __init__(self, in_channels: int, categories: int, *, dropout: float) -> None:
        super().__init__()
        self.conv = ConvBatchNormReLU(in_channels, CHANNELS)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(CHANNELS, categories, 1)

    def forward(
        self, x: Float[Tensor, "batch _ _ _"], size: tuple[int, int]
    ) -> Float[Tensor, "batch category height width"]:
        """Logits, resized to `size`."""
        return resize_logits(self.classifier(self.dropout(self.conv(x))), size)
