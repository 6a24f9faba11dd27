"""Stride turned into dilation on any convolutional network: the atrous algorithm.

M. Holschneider et al.: A real-time algorithm for signal analysis with the help of the wavelet
transform, 1989; L.-C. Chen et al. 2015, arXiv:1412.7062, sec. 3.1, for networks.

A layer that strides is made to keep every position, and each layer behind it spreads its taps by
the stride left out. The dense maps then hold the coarse ones at every stride-th position, to the
bit but for rounding, border included; layers that look at a whole map, as squeeze and excitation,
see the denser one.

Differences from the papers: none. `set_multi_grid` is that of DeepLabv3 (arXiv:1706.05587,
sec. 3.2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.encoder import no_denser_maps
from segscape.structures import RecipeError

# Side of the noise that is sent through the network to see where it strides.
_SIDE = 256
Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """How a layer's taps lie on its input; (rows, columns) each.

    Args:
        kernel: taps.
        step: distance of outputs.
        dilation: distance of taps.
        start: padding above and left.
        end: padding below and right; negative rows and columns are cut off.
    """

    kernel: Pair
    step: Pair
    dilation: Pair
    start: Pair
    end: Pair


class EndPaddedConv2d(nn.Conv2d):
    """A convolution whose zero padding at the bottom and right is its own.

    Attributes:
        end_padding: rows below and columns right of the map; negative ones are cut off.
    """

    end_padding: tuple[int, int]

    def forward(
        self,
        input: Float[Tensor, "batch _ _ _"],  # noqa: A002 # torch's name
    ) -> Float[Tensor, "batch out _ _"]:
        """Pad and convolve."""
        padded = _pad(input, _pair(self.padding), self.end_padding, 0.0)
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class EndPaddedMaxPool2d(nn.MaxPool2d):
    """A maximum whose padding at the bottom and right is its own.

    Args:
        window: where the taps lie.
    """

    def __init__(self, window: Window) -> None:
        super().__init__(window.kernel, window.step, window.start, window.dilation)
        self.window = window

    def forward(
        self,
        input: Float[Tensor, "batch channel _ _"],  # noqa: A002 # torch's name
    ) -> Float[Tensor, "batch channel _ _"]:
        """Pad with what is below any value, and take the maximum."""
        padded = _pad(input, self.window.start, self.window.end, -math.inf)
        return F.max_pool2d(padded, self.kernel_size, self.stride, 0, self.dilation)


class DilatedAvgPool2d(nn.Module):
    """A mean over spread taps.

    Padding counts as zeros; where there is none at the start, the border is repeated at the end.

    Args:
        window: where the taps lie.
    """

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Float[Tensor, "batch channel _ _"]) -> Float[Tensor, "batch channel _ _"]:
        """Pad and average."""
        window = self.window
        x = _pad(x, window.start, window.end, None if window.start == (0, 0) else 0.0)
        rows, columns = (
            [slice(tap * spread, side - (taps - 1 - tap) * spread, step) for tap in range(taps)]
            for side, taps, spread, step in zip(
                x.shape[2:], window.kernel, window.dilation, window.step, strict=True
            )
        )
        taps = [x[:, :, row, column] for row in rows for column in columns]
        return torch.stack(taps).mean(0)


def dilate(network: nn.Module, *, output_stride: int, in_channels: int) -> None:
    """Let a network keep its resolution from `output_stride` on, in place.

    Weights and their names stay the same, so that files fit before and after.

    Args:
        network: turns (1, in_channels, 256, 256) into a list of maps, or into one.
        output_stride: input pixels per pixel of the coarsest map wanted.
        in_channels: channels of its input.

    Raises:
        RecipeError: when a layer that would have to change is none that can be dilated, or the maps
            do not come out denser, as of transformers; the network is then of no use.
    """
    trial = torch.randn(1, in_channels, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0))
    sides, before = _run(network, trial)
    for path, layer in list(network.named_modules()):
        if layer in sides:
            changed = _dilated(path, layer, *sides[layer], output_stride)
            parent, _, name = path.rpartition(".")
            if changed is not layer:
                setattr(network.get_submodule(parent), name, changed)
    try:
        _, after = _run(network, trial)
    except (AssertionError, RuntimeError, ValueError) as error:
        why = ", for it does not read denser maps"
        raise no_denser_maps("the network", output_stride, why=why) from error
    wanted = [coarse * max(1, _stride(coarse) // output_stride) for coarse in before]
    if after != wanted:
        why = ", for it strides in something else than convolutions and poolings"
        raise no_denser_maps("the network", output_stride, why=why)


def set_multi_grid(network: nn.Module, factors: Sequence[int]) -> None:
    """Spread the taps of each block of the last stage by a factor of its own, in place.

    The rates are those of the stage (1, 2 or 4 at an output stride of 32, 16 or 8) times the
    factors. DeepLabv3 takes (1, 2, 4) for the three blocks of a residual network's fourth stage.

    Args:
        network: whose last child is the sequence of the stage's blocks, as of timm's ResNets.
        factors: one for each block.

    Raises:
        RecipeError: when the last child is no sequence of as many blocks.
    """
    children = list(network.children())
    stage = children[-1] if children else network
    blocks = [
        [conv for conv in block.modules() if isinstance(conv, nn.Conv2d) and _spreads(conv)]
        for block in (stage if isinstance(stage, nn.Sequential) else ())
    ]
    if len(blocks) != len(factors) or not all(blocks):
        found = f"{len(blocks)} blocks" if blocks else "no blocks"
        raise RecipeError(
            f"multi_grid {list(factors)} needs an encoder whose last stage is {len(factors)} "
            f"residual blocks, found {found}: give one factor per block, or null for none"
        )
    rate = max(_pair(conv.dilation)[0] for block in blocks for conv in block)
    for block, factor in zip(blocks, factors, strict=True):
        for conv in block:
            height, width = (rate * factor * (side // 2) for side in conv.kernel_size)
            conv.padding, conv.dilation = (height, width), (rate * factor, rate * factor)


def _run(
    network: nn.Module, pixels: Tensor
) -> tuple[dict[nn.Module, tuple[Pair, Pair]], list[int]]:
    """Find sides before and after each layer that can stride, and those of the outputs."""
    sides: dict[nn.Module, tuple[Pair, Pair]] = {}

    def note(layer: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ANN401 - torch's hook
        found = (tuple(inputs[0].shape[2:]), tuple(output.shape[2:]))
        if sides.setdefault(layer, found) != found:
            raise RecipeError(
                f"a {type(layer).__name__} reads maps of several sizes and cannot be dilated: use "
                "output_stride 32"
            )

    layers = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
    hooks = [
        layer.register_forward_hook(note)
        for layer in network.modules()
        if isinstance(layer, layers)
    ]
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            outputs: Any = network(pixels)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    maps = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    return sides, [one.shape[2] for one in maps]


def _stride(side: int) -> int:
    # Unpadded convolutions lose a border: the nearest power of two.
    return 2 ** max(0, round(math.log2(_SIDE / side)))


def _dilated(path: str, layer: Any, before: Pair, after: Pair, output_stride: int) -> nn.Module:  # noqa: ANN401 - of three kinds
    """The layer with the taps of its window spread, itself where nothing changes."""
    kernel, stride = _pair(layer.kernel_size), _pair(layer.stride)
    coarse = _stride(before[0]) * stride[0] > output_stride
    if not coarse or kernel == stride == (1, 1):
        return layer
    plain = not isinstance(layer.padding, str) and stride[0] == stride[1]
    if plain and isinstance(layer, nn.MaxPool2d) and not layer.return_indices:
        return EndPaddedMaxPool2d(_spread(layer, before, after, output_stride))
    if plain and isinstance(layer, nn.AvgPool2d):
        window = _spread(layer, before, after, output_stride)
        if window.start == (0, 0) or layer.count_include_pad:
            return DilatedAvgPool2d(window)
    if plain and isinstance(layer, nn.Conv2d) and _is_ordinary(layer):
        return _dilated_conv(layer, _spread(layer, before, after, output_stride))
    why = f", for its layer {path} ({type(layer).__name__}) cannot be dilated"
    raise no_denser_maps("the network", output_stride, why=why)


def _spread(layer: Any, before: Pair, after: Pair, output_stride: int) -> Window:  # noqa: ANN401
    """Leave out the stride beyond `output_stride`, and spread taps by what was left out before."""
    kernel, stride, padding = (
        _pair(value) for value in (layer.kernel_size, layer.stride, layer.padding)
    )
    own = _pair(getattr(layer, "dilation", 1))
    coming = _stride(before[0])
    rate = max(1, coming // output_stride)
    step = max(1, output_stride // coming)
    dilation = (own[0] * rate, own[1] * rate)
    start = (padding[0] * rate, padding[1] * rate)
    # So many that there are as many outputs as the coarse ones times the stride left out.
    bottom, right = (
        (outputs * rate * stride[0] - step + 1) + spread * (taps - 1) - inputs * rate - first
        for inputs, outputs, taps, spread, first in zip(
            before, after, kernel, dilation, start, strict=True
        )
    )
    return Window(kernel, (step, step), dilation, start, (bottom, right))


def _dilated_conv(layer: nn.Conv2d, window: Window) -> nn.Conv2d:
    layer.stride, layer.dilation, layer.padding = window.step, window.dilation, window.start
    if window.start == window.end:
        return layer
    padded = EndPaddedConv2d.__new__(EndPaddedConv2d)
    # All that the layer is: weights, hooks and options, each the same object.
    padded.__dict__ = layer.__dict__
    object.__setattr__(padded, "end_padding", window.end)
    return padded


def _is_ordinary(conv: nn.Conv2d) -> bool:
    # Subclasses with a forward of their own pad or weigh in ways of their own.
    return type(conv).forward is nn.Conv2d.forward and conv.padding_mode == "zeros"


def _spreads(conv: nn.Conv2d) -> bool:
    return max(conv.kernel_size) > 1


def _pair(value: Any) -> Pair:  # noqa: ANN401 - an int or a tuple of torch
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _pad(x: Tensor, start: Pair, end: Pair, value: float | None) -> Tensor:
    """Pad with a value, None to repeat the border; negative ends are cut off."""
    amounts = (start[1], end[1], start[0], end[0])
    return F.pad(x, amounts, mode="replicate") if value is None else F.pad(x, amounts, value=value)
