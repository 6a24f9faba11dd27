"""The ways to make a map finer, by name and with one interface: `part(x, size)`.

| name | a fine pixel is | learns | after |
|---|---|---|---|
| `bed_of_nails` | the coarse one at its top left corner, else 0 | no | arXiv:1411.5928 |
| `nearest` | the coarse one it lies in | no | - |
| `max_unpooling` | the coarse one at its switch, else 0 | no | `ops/unpool.py` |
| `bilinear` | a mean of 2 x 2 coarse ones | no | - |
| `bicubic` | a sum over 4 x 4 coarse ones | no | doi:10.1109/TASSP.1981.1163711 |
| `transposed_convolution` | a sum of overlapping kernels | yes | arXiv:1411.4038, sec. 3.3 |
| `resize_convolution` | a sum over 3 x 3 of `nearest` | yes | doi:10.23915/distill.00003 |
| `pixel_shuffle` | one of factor^2 channels | yes | arXiv:1609.05158, eq. 4 |

All but max unpooling, which needs the switches of the pooling that it undoes, can stand in for one
another. Bilinear and bicubic go to any size, by matrix products: the same bits at every run on
CUDA. The others enlarge by a whole factor and cut what the size wanted does not hold.

Differences from the papers: learned parts keep the number of channels and have no bias; pixel
shuffle numbers its channels as torch does, and begins as a resize of its coarse convolution
(A. Aitken et al. 2017, arXiv:1707.02937), without which its first outputs are a checkerboard.
"""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.ops.interpolation import interpolate
from segscape.ops.unpool import Switches, bed_of_nails, unpool
from segscape.structures.errors import StructureError


class Upsampling(nn.Module):
    """What all parts are: `part(x, size)` gives x enlarged to height and width `size`.

    Args:
        channels: of the input and of the output.
        factor: output pixels per input pixel along an axis, 2 or more.
    """

    needs_switches = False

    def __init__(self, channels: int, *, factor: int = 2) -> None:
        super().__init__()
        self.channels = channels
        self.factor = factor

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.channels}, factor={self.factor}"

    def _cut(
        self, x: Float[Tensor, "batch channel _ _"], size: tuple[int, int]
    ) -> Float[Tensor, "batch channel _ _"]:
        """Drop rows and columns of the last coarse pixels that the size wanted does not hold."""
        for enlarged, wanted in zip(x.shape[2:], size, strict=True):
            if not enlarged - self.factor < wanted <= enlarged:
                raise StructureError(
                    f"{type(self).__name__} of factor {self.factor} was asked for "
                    f"{size[0]} x {size[1]} pixels and makes {x.shape[2]} x {x.shape[3]}, of which "
                    f"up to {self.factor - 1} may be cut: choose another factor, or bilinear"
                )
        return x[:, :, : size[0], : size[1]]


class BedOfNails(Upsampling):
    """Set each value at the top left corner of its block and zeros around it."""

    def forward(
        self, x: Float[Tensor, "batch channel height width"], size: tuple[int, int]
    ) -> Float[Tensor, "batch channel _ _"]:
        """The finer map."""
        return self._cut(bed_of_nails(x, self.factor), size)


class Nearest(Upsampling):
    """Repeat each value over its block."""

    def forward(
        self, x: Float[Tensor, "batch channel height width"], size: tuple[int, int]
    ) -> Float[Tensor, "batch channel _ _"]:
        """The finer map."""
        return self._cut(F.interpolate(x, scale_factor=self.factor, mode="nearest"), size)


class MaxUnpooling(Upsampling):
    """Put each value back where max pooling found it, and zeros elsewhere.

    In segmentation H. Noh et al. 2015, arXiv:1505.04366, and SegNet, arXiv:1511.00561.
    """

    needs_switches = True

    def forward(
        self,
        x: Float[Tensor, "batch channel height width"],
        size: tuple[int, int],
        switches: Switches,
    ) -> Float[Tensor, "batch channel _ _"]:
        """The finer map; `switches` are those of `pool_with_switches` and name its size.

        Raises:
            StructureError: when the pooled map had another size.
        """
        if tuple(size) != tuple(switches.size):
            raise StructureError(
                f"MaxUnpooling was asked for {size[0]} x {size[1]} pixels, the pooled map had "
                f"{switches.size[0]} x {switches.size[1]}: ask for that size"
            )
        return unpool(x, switches)


class Bilinear(Upsampling):
    """Interpolate between the four nearest centres, to any size."""

    def forward(
        self, x: Float[Tensor, "batch channel height width"], size: tuple[int, int]
    ) -> Float[Tensor, "batch channel _ _"]:
        """The finer map."""
        return interpolate(x, size, method="bilinear")


class Bicubic(Upsampling):
    """Interpolate between the sixteen nearest centres, to any size; it overshoots at edges."""

    def forward(
        self, x: Float[Tensor, "batch channel height width"], size: tuple[int, int]
    ) -> Float[Tensor, "batch channel _ _"]:
        """The finer map."""
        return interpolate(x, size, method="bicubic")


class TransposedConvolution(Upsampling):
    """Lay a learned kernel, times the value, at each coarse pixel; where they overlap they add up.

    It is X^T a for the matrix X of the convolution that reads the fine map with the same kernel and
    stride (`ops/convolution_matrix.py`). Unless the factor divides the kernel's side, fine pixels
    lie under unequally many taps: a checkerboard.

    Args:
        channels: of the input and of the output.
        factor: its stride.
        kernel_size: side of the kernel in pixels, `factor` or more; None for twice the factor.

    Raises:
        StructureError: when the kernel would leave gaps between coarse pixels.
    """

    def __init__(self, channels: int, *, factor: int = 2, kernel_size: int | None = None) -> None:
        super().__init__(channels, factor=factor)
        side = 2 * factor if kernel_size is None else kernel_size
        if side < factor:
            raise StructureError(
                f"a transposed convolution with kernel {side} and stride {factor} leaves gaps: "
                f"give kernel_size={factor} or more"
            )
        # Padding cuts what hangs over; of an odd overhang more at the top and left.
        self.convolution = nn.ConvTranspose2d(
            channels,
            channels,
            side,
            stride=factor,
            padding=(side - factor + 1) // 2,
            output_padding=(side - factor) % 2,
            bias=False,
        )
        # A fine pixel sums side^2 / factor^2 taps of each channel: its variance stays that of x.
        nn.init.normal_(self.convolution.weight, std=factor / (side * math.sqrt(channels)))

    def forward(
        self, x: Float[Tensor, "batch channel height width"], size: tuple[int, int]
    ) -> Float[Tensor, "batch channel _ _"]:
        """The finer map."""
        return self._cut(self.convolution(x), size)


class ResizeConvolution(Upsampling):
    """Repeat each value over its block, then a learned 3 x 3 convolution: no checkerboard.

    A. Odena, V. Dumoulin, C. Olah: Deconvolution and Checkerboard Artifacts, 2016,
    doi:10.23915/distill.00003. Every fine pixel lies under the same taps, so that a flat map stays
    flat whatever the weights.
    """

    def __init__(self, channels: int, *, factor: int = 2) -> None:
        super().__init__(channels, factor=factor)
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="linear")

    def forward(
        self, x: Float[Tensor, "batch channel height width"], size: tuple[int, int]
    ) -> Float[Tensor, "batch channel _ _"]:
        """The finer map."""
        fine = self._cut(F.interpolate(x, scale_factor=self.factor, mode="nearest"), size)
        return self.convolution(fine)


class PixelShuffle(Upsampling):
    """A learned 3 x 3 convolution to factor^2 values per pixel, laid out as a block.

    W. Shi et al.: Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network, 2016, arXiv:1609.05158, eq. 3 and 4.
    """

    def __init__(self, channels: int, *, factor: int = 2) -> None:
        super().__init__(channels, factor=factor)
        self.convolution = nn.Conv2d(channels, channels * factor**2, 3, padding=1, bias=False)
        one = nn.init.kaiming_normal_(
            self.convolution.weight.new_empty(channels, channels, 3, 3), nonlinearity="linear"
        )
        # The values of a block begin equal (arXiv:1707.02937).
        self.convolution.weight.data = one.repeat_interleave(factor**2, 0)

    def forward(
        self, x: Float[Tensor, "batch channel height width"], size: tuple[int, int]
    ) -> Float[Tensor, "batch channel _ _"]:
        """The finer map."""
        return self._cut(F.pixel_shuffle(self.convolution(x), self.factor), size)


UPSAMPLINGS: dict[str, type[Upsampling]] = {
    "bed_of_nails": BedOfNails,
    "nearest": Nearest,
    "max_unpooling": MaxUnpooling,
    "bilinear": Bilinear,
    "bicubic": Bicubic,
    "transposed_convolution": TransposedConvolution,
    "resize_convolution": ResizeConvolution,
    "pixel_shuffle": PixelShuffle,
}
