"""Max pooling that remembers where each maximum stood, and the unpooling that puts it back.

M. D. Zeiler, G. W. Taylor, R. Fergus: Adaptive Deconvolutional Networks for Mid and High Level
Feature Learning, ICCV 2011, doi:10.1109/ICCV.2011.6126474, where the positions are called switches;
A. Dosovitskiy et al.: Learning to Generate Chairs, 2014, arXiv:1411.5928, for the bed of nails.

A switch is a position inside its window, counted row by row: 0..3 where windows are 2 x 2. It fits
into 2 bits (V. Badrinarayanan et al., SegNet, arXiv:1511.00561, sec. 3), and that is what is kept:
between pooling and unpooling, and for the backward passes of both.

Differences from the papers: none. Where torch has the same (`max_pool2d` with indices,
`max_unpool2d`), results of finite values are equal, ties included: the first of equal values, row
by row.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

# A position inside a larger window would not fit into one byte.
_LARGEST_WINDOW = 16


@dataclass(frozen=True)
class Switches:
    """Where the maxima of a pooling stood.

    Args:
        packed: several positions in each byte: of 2 x 2 windows those of four channels.
        size: height and width of the map before pooling; unpooling gives this size again.
        window: side of the windows in pixels.
    """

    packed: UInt8[Tensor, "batch _ height width"]
    size: tuple[int, int]
    window: int = 2


def pool_with_switches(
    x: Float[Tensor, "batch channel height width"], *, window: int = 2
) -> tuple[Float[Tensor, "batch channel _ _"], Switches]:
    """Take the maximum of each window, and its position; windows touch and do not overlap.

    Incomplete windows at the right and at the bottom count, as in Caffe: 45 rows give 23.

    Args:
        x: a map of at least 1 x 1.
        window: side of the windows in pixels, 1 to 16.

    Raises:
        ValueError: for a window out of range.

    >>> pooled, switches = pool_with_switches(torch.tensor([[[[1.0, 2.0, 5.0], [4.0, 3.0, 6.0]]]]))
    >>> pooled.tolist()
    [[[[4.0, 6.0]]]]
    >>> unpool(pooled, switches).tolist()
    [[[[0.0, 0.0, 0.0], [4.0, 0.0, 6.0]]]]
    """
    if not 1 <= window <= _LARGEST_WINDOW:
        raise ValueError(f"pooling window is {window}, expected 1 to {_LARGEST_WINDOW} pixels")
    pooled, packed = _Pool.apply(x, window)
    return pooled, Switches(packed, (x.shape[2], x.shape[3]), window)


def unpool(
    x: Float[Tensor, "batch channel height width"], switches: Switches
) -> Float[Tensor, "batch channel _ _"]:
    """Put each value where the maximum of its window stood; all else is 0.

    Args:
        x: one value per window of the pooling, as many channels as it had.
        switches: of the pooling; they say the size of the result.

    Raises:
        ValueError: when there is not one value per switch.
    """
    rows, columns = (-(-side // switches.window) for side in switches.size)
    packed = (len(switches.packed), switches.packed.shape[1])
    if (len(x), _bytes(x.shape[1], switches.window)) != packed or x.shape[2:] != (rows, columns):
        raise ValueError(
            f"unpool got a map of {tuple(x.shape)} for switches of {len(switches.packed)} x "
            f"{rows} x {columns} windows in {packed[1]} bytes: give one value per switch"
        )
    return _Unpool.apply(x, switches.packed, switches.size, switches.window)


def bed_of_nails(
    x: Float[Tensor, "batch channel height width"], stride: int
) -> Float[Tensor, "batch channel {stride}*height {stride}*width"]:
    """Put each value into the upper left corner of a square of zeros: unpooling without switches.

    Args:
        x: any values.
        stride: side of the squares in pixels, 1 or more.

    Raises:
        ValueError: for a stride below 1.

    >>> bed_of_nails(torch.tensor([[[[1.0, 2.0]]]]), 2).tolist()
    [[[[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]]
    """
    if stride < 1:
        raise ValueError(f"bed of nails: stride is {stride}, expected 1 or more pixels")
    batch, channels, height, width = x.shape
    nails = x.new_zeros(batch, channels, height * stride, width * stride)
    nails[:, :, ::stride, ::stride] = x
    return nails


def pack(
    positions: UInt8[Tensor, "batch channel height width"], window: int
) -> UInt8[Tensor, "batch _ height width"]:
    """Put as many positions into a byte as fit: four where windows are 2 x 2.

    The channels are cut into that many runs of equal length, so that whole runs are shifted and
    joined; missing channels of the last run are 0.

    >>> positions = torch.tensor([3, 0, 2, 1], dtype=torch.uint8).reshape(1, 4, 1, 1)
    >>> pack(positions, 2).flatten().tolist()  # 3 + 0 * 4 + 2 * 16 + 1 * 64
    [99]
    """
    bits = _bits(window)
    runs, length = 8 // bits, _bytes(positions.shape[1], window)
    missing = runs * length - positions.shape[1]
    if missing:
        positions = F.pad(positions, (0, 0, 0, 0, 0, missing))
    first, *others = positions.split(length, 1)
    packed = first
    for place, run in enumerate(others, start=1):
        packed = packed | (run << (place * bits))
    return packed


def unpack(
    packed: UInt8[Tensor, "batch _ height width"], channels: int, window: int
) -> UInt8[Tensor, "batch {channels} height width"]:
    """Positions as before `pack`.

    >>> unpack(torch.tensor([99], dtype=torch.uint8).reshape(1, 1, 1, 1), 4, 2).flatten().tolist()
    [3, 0, 2, 1]
    """
    bits = _bits(window)
    runs = [(packed >> shift) & (2**bits - 1) for shift in range(0, 8 // bits * bits, bits)]
    return torch.cat(runs, 1)[:, :channels]


def _bits(window: int) -> int:
    return max((window * window - 1).bit_length(), 1)


def _bytes(channels: int, window: int) -> int:
    return -(-channels // (8 // _bits(window)))


class _Pool(torch.autograd.Function):
    """Pooling; its backward pass is unpooling."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: int) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        pooled, positions = _maxima(x, window)
        packed = pack(positions, window)
        ctx.mark_non_differentiable(packed)
        ctx.save_for_backward(packed)
        ctx.size, ctx.window = (x.shape[2], x.shape[3]), window
        return pooled, packed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        (packed,) = ctx.saved_tensors
        return _Unpool.apply(gradients[0], packed, ctx.size, ctx.window), None


class _Unpool(torch.autograd.Function):
    """Unpooling; its backward pass picks at the switches."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: Tensor,
        packed: Tensor,
        size: tuple[int, int],
        window: int,
    ) -> Tensor:
        ctx.save_for_backward(packed)
        ctx.size, ctx.window = size, window
        return _put(x, unpack(packed, x.shape[1], window), size, window)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        (packed,) = ctx.saved_tensors
        return _Pick.apply(gradients[0], packed, ctx.window), None, None, None


class _Pick(torch.autograd.Function):
    """The values at the switches; the backward pass is unpooling again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, window: int) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(packed)
        ctx.size, ctx.window = (x.shape[2], x.shape[3]), window
        return _pick(x, unpack(packed, x.shape[1], window), window)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (packed,) = ctx.saved_tensors
        return _Unpool.apply(gradients[0], packed, ctx.size, ctx.window), None, None


def _maxima(x: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Maxima and their positions: one pass per place in the window, over all windows at once."""
    bottom, right = -x.shape[2] % window, -x.shape[3] % window
    if bottom or right:
        x = F.pad(x, (0, right, 0, bottom), value=-torch.inf)
    places = [x[:, :, row::window, column::window] for row, column in _places(window)]
    largest = places[0].clone() if window == 1 else reduce(torch.maximum, places)
    positions = torch.zeros_like(largest, dtype=torch.uint8)
    # The position of the first place that holds the maximum is the number of places before it.
    not_yet = torch.ones_like(positions)
    for place in places[:-1]:
        not_yet &= (place != largest).view(torch.uint8)
        positions += not_yet
    return largest, positions


def _put(x: Tensor, positions: Tensor, size: tuple[int, int], window: int) -> Tensor:
    pixels_first = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    out = torch.empty(
        (*x.shape[:2], *size),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last if pixels_first else torch.contiguous_format,
    )
    for position, (row, column) in enumerate(_places(window)):
        place = out[:, :, row::window, column::window]
        inside = (..., slice(place.shape[2]), slice(place.shape[3]))
        torch.mul(x[inside], positions[inside] == position, out=place)
    return out


def _pick(x: Tensor, positions: Tensor, window: int) -> Tensor:
    bottom, right = -x.shape[2] % window, -x.shape[3] % window
    if bottom or right:
        x = F.pad(x, (0, right, 0, bottom))
    out = x[:, :, ::window, ::window].clone()
    for position, (row, column) in enumerate(_places(window)):
        if position:
            place = x[:, :, row::window, column::window]
            out = torch.where(positions == position, place, out)
    return out


def _places(window: int) -> list[tuple[int, int]]:
    return [divmod(position, window) for position in range(window * window)]
