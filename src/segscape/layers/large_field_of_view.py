"""VGG16's classifier as DeepLab's first two versions slide it over the image.

L.-C. Chen, G. Papandreou, I. Kokkinos, K. Murphy, A. Yuille: Semantic Image Segmentation with Deep
Convolutional Nets and Fully Connected CRFs, 2015, arXiv:1412.7062, sec. 3.2 and table 1
(DeepLab-LargeFOV); DeepLabv2, arXiv:1606.00915, fig. 7, for several of them side by side.

Differences from the papers: without public weights fc6 and fc7 begin random; the authors begin from
VGG16's, of whose 7 x 7 taps and 4096 channels they keep a part.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.layers.score_layer import score_layer


class LargeFieldOfView(nn.Module):
    """fc6: 3 x 3 at a rate; fc7 and fc8: 1 x 1.

    Args:
        in_channels: channels of the input.
        categories: scores per pixel.
        rate: distance of fc6's taps in pixels of the map; 12 in DeepLab-LargeFOV.
        channels: outputs of fc6 and fc7.
        dropout: chance of dropping an activation after each of them, in [0, 1).
    """

    def __init__(
        self,
        in_channels: int,
        categories: int,
        *,
        rate: int,
        channels: int = 1024,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.fc6 = nn.Conv2d(in_channels, channels, 3, padding=rate, dilation=rate)
        self.fc7 = nn.Conv2d(channels, channels, 1)
        for layer in (self.fc6, self.fc7):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.fc8 = score_layer(channels, categories)
        self.dropout = dropout

    def forward(
        self, x: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch category height width"]:
        """The scores, of the input's size."""
        for layer in (self.fc6, self.fc7):
            x = F.dropout(F.relu(layer(x), inplace=True), self.dropout, self.training)
        return self.fc8(x)
