"""A 3 x 3 convolution over maps of several sizes joined at the finest, without enlarging them.

conv(concat(a, enlarge(b))) is the sum of conv(a) and conv(enlarge(b)). Enlarging bilinearly is two
small matrix products, one along each axis, and commutes with a product over channels: so every tap
of the kernel is applied to the coarse map, where there are few pixels, and one product along each
axis then enlarges, shifts and adds up the nine results. The result is the same but for rounding,
and so is the gradient at every run, for matrix products have a fixed order.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.ops.resize import resize_maps

TAPS = 3
# The small products keep the processor less busy than one large convolution does.
_WORTHWHILE = 3


class JoinedConv2d(nn.Conv2d):
    """A 3 x 3 convolution without bias over several maps, all resized to the first and joined.

    Its weights are those of the plain convolution over all channels.

    Args:
        in_channels: of each map, in the order they are joined.
        out_channels: of the output.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__(sum(in_channels), out_channels, TAPS, padding=1, bias=False)
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - reads several maps, not one
        self, maps: Sequence[Float[Tensor, "batch _ _ _"]]
    ) -> Float[Tensor, "batch out height width"]:
        """The output, of the first map's size."""
        height, width = maps[0].shape[2:]
        weights = self.weight.split([one.shape[1] for one in maps], dim=1)
        apart = [_worthwhile(one, weights[0].shape[0], height, width) for one in maps]
        joined = torch.cat(
            [
                resize_maps(one, (height, width))
                for one, alone in zip(maps, apart, strict=True)
                if not alone
            ],
            dim=1,
        )
        kept = [weight for weight, alone in zip(weights, apart, strict=True) if not alone]
        weight = torch.cat(kept, dim=1) if any(apart) else self.weight
        out = F.conv2d(joined, weight, padding=1)
        for one, weight, alone in zip(maps, weights, apart, strict=True):
            if alone:
                out = out + enlarged_conv(one, weight, (height, width))
        return out


def enlarged_conv(
    x: Float[Tensor, "batch in _ _"], weight: Float[Tensor, "out in 3 3"], size: tuple[int, int]
) -> Float[Tensor, "batch out _ _"]:
    """Convolve a map as if it were resized bilinearly first, with zeros beyond its border.

    Args:
        x: the coarse map.
        weight: of a 3 x 3 convolution with a padding of 1.
        size: height and width of the output in pixels, each at least 1.

    >>> x = torch.tensor([[[[0.0, 4.0]]]])
    >>> enlarged_conv(x, torch.ones(1, 1, 3, 3), (1, 4)).tolist()
    [[[[1.0, 4.0, 8.0, 7.0]]]]
    """
    height, width = x.shape[2:]
    pixels = x.permute(0, 2, 3, 1)
    # Nine products at each coarse pixel: taps side by side, below each other, as the weights need.
    products = torch.cat(
        [
            torch.cat([F.linear(pixels, tap) for tap in row.unbind()], dim=2)
            for row in weight.permute(2, 3, 0, 1).unbind()
        ],
        dim=1,
    )
    wide = tap_weights(width, size[1]).to(products) @ products
    fine = tap_weights(height, size[0]).to(products) @ wide.flatten(2)
    return fine.reshape(x.shape[0], *size, -1).permute(0, 3, 1, 2)


def tap_weights(source: int, target: int) -> Float[Tensor, "target taps_and_source"]:
    """How much each tap at each pixel of a resized line reads of each pixel of the source.

    Args:
        source: pixels of the line, 1 or more.
        target: pixels of the resized line, 1 or more.

    >>> tap_weights(2, 2).tolist()
    [[0.0, 0.0, 1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]]
    """
    # Where the centres of resized pixels lie among those of the source; beyond it, its border.
    centers = ((torch.arange(target) + 0.5) * (source / target) - 0.5).clamp(0, source - 1)
    line = (1 - (centers[:, None] - torch.arange(source)).abs()).clamp(min=0)
    padded = F.pad(line, (0, 0, 1, 1))
    return torch.cat([padded[tap : tap + target] for tap in range(TAPS)], dim=1)


def _worthwhile(x: Float[Tensor, "batch in _ _"], outputs: int, height: int, width: int) -> bool:
    """Whether far fewer products are needed than by convolving the enlarged map."""
    channels, rows, columns = x.shape[1:]
    direct = TAPS**2 * channels * height * width
    coarse = TAPS**2 * channels * rows * columns
    enlarging = TAPS * rows * width * (TAPS * columns + height)
    return rows * columns < height * width and _WORTHWHILE * (coarse + enlarging) < direct
