"""Receptive fields: which input pixels an output pixel can read, and which of them it heeds.

Three ways. `receptive_field` works a chain of layers out from their kernels, strides and paddings
(A. Araujo, W. Norris, J. Sim: Computing Receptive Fields of Convolutional Neural Networks, Distill
2019, doi:10.23915/distill.00021). `traced_receptive_field` finds the same for any network, whatever
it is made of. `effective_receptive_field` measures how much each pixel counts (W. Luo, Y. Li,
R. Urtasun, R. Zemel: Understanding the Effective Receptive Field in Deep Convolutional Neural
Networks, NIPS 2016, arXiv:1701.04128).

Differences from the papers: behind a transposed convolution neighbouring outputs read from fields
of different sizes, which size, stride and start of one field do not tell; so a chain is walked from
outputs back to inputs, which is exact there too, and the largest field is given. The effective
field is averaged over the images that are given, not over random weights.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from segscape.ops.taint import Taint

# Beyond this many pixels a network is taken to see the whole image.
LARGEST = 4096
# Rows traced together: more need memory, fewer run every layer more often.
_AT_ONCE = 8


@dataclass(frozen=True)
class Layer:
    """A layer that reads a window of each axis: a convolution, pooling or transposed convolution.

    Args:
        kernel: taps.
        stride: input pixels between neighbouring outputs; of a transposed layer output pixels
            between neighbouring inputs.
        padding: of the input; of a transposed layer what is cut from the output. Negative for
            a crop.
        dilation: pixels between neighbouring taps, D: the window spans D (K - 1) + 1 pixels.
        transposed: whether inputs are spread over outputs.
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    transposed: bool = False

    def reads(self, first: int, last: int) -> tuple[int, int]:
        """The first and the last input that some of the outputs first..last read.

        >>> Layer(3, padding=1, dilation=2).reads(0, 0)  # 2 (3 - 1) + 1 = 5 pixels
        (-1, 3)
        >>> Layer(4, stride=2, transposed=True).reads(4, 4)
        (1, 2)
        """
        span = self.dilation * (self.kernel - 1)
        if self.transposed:
            # Output o takes tap t of input i where o = i stride - padding + t dilation.
            return -(-(first + self.padding - span) // self.stride), (
                last + self.padding
            ) // self.stride
        return first * self.stride - self.padding, last * self.stride - self.padding + span


@dataclass(frozen=True)
class ReceptiveField:
    """The input pixels that outputs read, along one axis.

    Args:
        size: pixels from the first to the last that one output reads; the largest of all outputs.
        stride: input pixels between the fields of neighbouring outputs.
        start: where the field of output 0 begins, negative in the padding; a fraction where fields
            are not all of one size, since it stands for the one centred as they are on average.
    """

    size: int
    stride: Fraction
    start: Fraction

    @property
    def center(self) -> Fraction:
        """The middle of output 0's field, as the position of a pixel."""
        return self.start + Fraction(self.size - 1, 2)

    def union(self, other: "ReceptiveField") -> "ReceptiveField":
        """The field behind a join, as a sum or a concatenation, of two branches.

        Raises:
            ValueError: when the branches' strides differ, so that their maps cannot be joined.

        >>> wide = receptive_field([Layer(3, padding=6, dilation=6)])
        >>> wide.union(receptive_field([Layer(1)])).size
        13
        """
        if self.stride != other.stride:
            raise ValueError(
                f"maps of strides {self.stride} and {other.stride} cannot be joined: bring them to "
                "one stride first"
            )
        start = min(self.start, other.start)
        end = max(self.start + self.size, other.start + other.size)
        return ReceptiveField(-((start - end) // 1), self.stride, start)


def reads(layers: Sequence[Layer], first: int, last: int) -> tuple[int, int]:
    """The first and the last input of a chain that some of its outputs first..last read.

    >>> reads([Layer(3, padding=1), Layer(2, stride=2)], 0, 0)
    (-1, 2)
    """
    for layer in reversed(layers):
        first, last = layer.reads(first, last)
    return first, last


def receptive_field(layers: Sequence[Layer]) -> ReceptiveField:
    """Work out the receptive field of a chain of layers.

    Args:
        layers: from the input on.

    >>> receptive_field([Layer(3, padding=1)] * 2 + [Layer(2, stride=2)])
    ReceptiveField(size=6, stride=Fraction(2, 1), start=Fraction(-2, 1))
    >>> receptive_field([Layer(2, stride=2), Layer(4, stride=2, padding=1, transposed=True)])
    ReceptiveField(size=4, stride=Fraction(1, 1), start=Fraction(-3, 2))
    """
    stride, center = Fraction(1), Fraction(0)
    for layer in layers:
        middle = Fraction(layer.dilation * (layer.kernel - 1), 2) - layer.padding
        if layer.transposed:
            stride /= layer.stride
            center -= stride * middle
        else:
            center += stride * middle
            stride *= layer.stride
    # After as many outputs as all upsampling multiplies by, everything repeats itself.
    period = prod(layer.stride for layer in layers if layer.transposed)
    spans = (reads(layers, output, output) for output in range(period))
    size = max(last - first + 1 for first, last in spans)
    return ReceptiveField(size, stride, center - Fraction(size - 1, 2))


def traced_receptive_field(
    network: Callable[[Float[Tensor, "batch channel height width"]], Tensor],
    *,
    channels: int = 3,
    period: int = 32,
) -> ReceptiveField | None:
    """Find the receptive field of a network whose output has its input's size.

    One row of pixels is made not a number, and everything that reads it becomes not a number, too:
    convolutions, attention, unpooling by switches, whatever there is. That is done for as many rows
    as the fields of outputs need to repeat themselves. Columns are taken to behave as rows do.

    Args:
        network: any function from images to maps of the same height, in evaluation mode; its
            weights do not matter, and may lie on the device "meta".
        channels: of the images.
        period: the coarsest stride in the network, or a multiple.

    Returns:
        The field, or None when an output reads the whole image, however large.

    Raises:
        ValueError: when the network's outputs are not numbers although all its inputs are.

    >>> layer = torch.nn.Conv2d(3, 8, 5, padding=4, dilation=2, device="meta")
    >>> traced_receptive_field(layer, period=1)
    ReceptiveField(size=9, stride=Fraction(1, 1), start=Fraction(-4, 1))
    """
    with _one_thread():
        return _traced(network, channels, period)


def _traced(
    network: Callable[[Tensor], Tensor], channels: int, period: int
) -> ReceptiveField | None:
    height = max(4 * period, 64)
    if _readers(network, channels, height, None)[0] is not None:
        raise ValueError("the network gives values that are not numbers: is it in evaluation mode?")
    while True:
        (found,) = _readers(network, channels, height, height // 2)
        # Far from the border, so that nothing is mirrored back or cut off.
        if found is None or (height // 4 <= found[0] and found[1] < height - height // 4):
            break
        height *= 2
        if height > LARGEST:
            return None
    rows = range(height // 2, height // 2 + period)
    fields: dict[int, tuple[int, int]] = {}
    for start in range(0, period, _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        for row, found in zip(some, _readers(network, channels, height, *some), strict=True):
            for output in range(found[0], found[1] + 1) if found is not None else ():
                # Outputs whole periods apart read the same: one stands for all.
                first, last = fields.get(output % period, (row - output, row - output))
                fields[output % period] = min(first, row - output), max(last, row - output)
    size = max(last - first + 1 for first, last in fields.values())
    center = Fraction(sum(first + last for first, last in fields.values()), 2 * len(fields))
    return ReceptiveField(size, Fraction(1), center - Fraction(size - 1, 2))


@contextmanager
def _one_thread() -> Generator[None]:
    """Work on one thread: maps of one channel are too small to share (measured: 4 times faster)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _readers(
    network: Callable[[Tensor], Tensor], channels: int, height: int, *rows: int | None
) -> list[tuple[int, int] | None]:
    """For each row of the input, the first and the last row of the output that read it."""
    pixels = torch.zeros(len(rows), 1, height, 1)
    for image, row in zip(pixels, rows, strict=True):
        if row is not None:
            image[:, row] = torch.nan
    with torch.no_grad(), Taint():
        output = network(pixels.expand(-1, channels, -1, -1))
    reached = [image.nonzero() for image in output.isnan().any(3).any(1)]
    return [(int(one.min()), int(one.max())) if len(one) else None for one in reached]


def effective_receptive_field(
    network: Callable[[Float[Tensor, "batch channel height width"]], Tensor],
    pixels: Float[Tensor, "batch channel height width"],
    *,
    place: tuple[int, int] | None = None,
) -> Float[Tensor, "height width"]:
    """Measure how much each pixel changes the output at one place, by the gradient (Luo, sec. 3).

    Args:
        network: a differentiable function from images to maps of the same size.
        pixels: images over which the measure is averaged.
        place: row and column of the output; None for the middle.

    Returns:
        The mean size of the gradient of the outputs' sum at that place, summed over channels,
        divided by its maximum; all 0 where nothing reaches the output.

    >>> blur = torch.nn.AvgPool2d(3, 1, padding=1)
    >>> effective_receptive_field(blur, torch.rand(1, 1, 5, 5)).sum(1).tolist()
    [0.0, 3.0, 3.0, 3.0, 0.0]
    """
    row, column = place or (pixels.shape[2] // 2, pixels.shape[3] // 2)
    with torch.enable_grad():
        pixels = pixels.detach().clone().requires_grad_()
        output = network(pixels)[:, :, row, column].sum()
        (gradient,) = torch.autograd.grad(output, pixels)
    strength = gradient.abs().mean(0).sum(0)
    return strength / strength.max().clamp(min=torch.finfo(strength.dtype).tiny)


def effective_size(
    strength: Float[Tensor, "height width"], *, threshold: float = 1 - 0.9545
) -> float:
    """The side, in pixels, of a square as large as the area that counts.

    Args:
        strength: as `effective_receptive_field` returns it.
        threshold: a pixel counts from this share of the strongest on; Luo et al. take what lies
            beyond two standard deviations of a Gaussian (sec. 3.1).

    >>> effective_size(torch.tensor([[1.0, 0.5], [0.04, 0.2]]))
    1.7320508075688772
    """
    return int((strength >= threshold).sum()) ** 0.5
