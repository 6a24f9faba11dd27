"""Chained residual pooling: context from ever larger windows, each added as a residual.

G. Lin, A. Milan, C. Shen, I. Reid: RefineNet, 2017, arXiv:1611.06612, sec. 3.2 and fig. 2 (d).

Differences from the paper: none with `pool_first`; without, the order is that of the authors' code,
which calls it improved.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

WINDOW = 5


class ChainedResidualPooling(nn.Module):
    """ReLU, then a chain of 5 x 5 max-poolings and convolutions; all links are added up.

    Args:
        channels: of input and output.
        links: pairs of a pooling and a convolution.
        kernel_size: of the convolutions, odd.
        pool_first: pool, then convolve; False the other way round.
    """

    def __init__(
        self, channels: int, *, links: int, kernel_size: int = 3, pool_first: bool = True
    ) -> None:
        super().__init__()
        self.pool_first = pool_first
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, bias=False)
            for _ in range(links)
        )

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The sum of the activated input and of every link."""
        # The paper: one ReLU, without which pooling helps little and the rate of learning matters.
        link = F.relu(x)
        total = link
        for conv in self.convs:
            link = conv(_pool(link)) if self.pool_first else _pool(conv(link))
            total = total + link
        return total


def _pool(
    x: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch channel height width"]:
    return F.max_pool2d(x, WINDOW, stride=1, padding=WINDOW // 2)
