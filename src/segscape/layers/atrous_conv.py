"""Atrous convolutions that stay fast, and right, in bfloat16 on a CPU.

oneDNN's bfloat16 convolution for processors with matrix units is 6 to 10 times slower where taps
lie apart and the input has many channels (measured on 2048 channels of 32 x 32 and 64 x 64 pixels
at rates from 4 to 36, torch 2.15; not on 1280 and fewer, nor at rates of 1 and 2). A convolution
over 2048 channels is the sum of eight over 256 each. Of single channels oneDNN's is not even right:
see `ops/depthwise_atrous.py`.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.ops.depthwise_atrous import depthwise_atrous_conv

_MANY_CHANNELS = 1024
_NEAR_TAPS = 2
_PART = 256


class AtrousConv2d(nn.Conv2d):
    """`nn.Conv2d`, in parts where the whole is slow; parts are summed in float32."""

    def forward(
        self,
        input: Float[Tensor, "batch _ _ _"],  # noqa: A002 # torch's name
    ) -> Float[Tensor, "batch out _ _"]:
        """Convolve."""
        if not self._is_slow(input):
            return super().forward(input)
        first, *others = (
            F.conv2d(channels, weight, None, self.stride, self.padding, self.dilation)
            for channels, weight in zip(
                input.split(_PART, dim=1), self.weight.split(_PART, dim=1), strict=True
            )
        )
        total = first.float()
        for part in others:
            total = total + part
        if self.bias is not None:
            total = total + self.bias.reshape(-1, 1, 1)
        return total.to(first.dtype)

    def _is_slow(self, x: Float[Tensor, "batch _ _ _"]) -> bool:
        if x.device.type != "cpu" or self.groups != 1 or self.in_channels <= _MANY_CHANNELS:
            return False
        return max(self.dilation) > _NEAR_TAPS and _is_bfloat16(x)


class DepthwiseAtrousConv2d(nn.Conv2d):
    """`nn.Conv2d` of each channel alone, with right gradients in bfloat16 on a CPU."""

    def forward(
        self,
        input: Float[Tensor, "batch channel _ _"],  # noqa: A002 # torch's name
    ) -> Float[Tensor, "batch channel _ _"]:
        """Convolve."""
        if input.device.type != "cpu" or torch.compiler.is_exporting() or not _is_bfloat16(input):
            return super().forward(input)
        x, weight = input.bfloat16(), self.weight.bfloat16()
        out = depthwise_atrous_conv(x, weight, (self.dilation[0], self.dilation[1]))
        return out if self.bias is None else out + self.bias.bfloat16().reshape(-1, 1, 1)


def correct_depthwise(network: nn.Module) -> None:
    """Make the atrous convolutions of single channels in a network `DepthwiseAtrousConv2d`.

    In place, weights and names the same. Those that stride, or whose padding is not what keeps
    the map's size, stay what they are.

    Args:
        network: as a backbone of timm.
    """
    for layer in network.modules():
        if type(layer) is nn.Conv2d and _is_depthwise_atrous(layer):
            layer.__class__ = DepthwiseAtrousConv2d


def _is_depthwise_atrous(layer: nn.Conv2d) -> bool:
    sides = zip(layer.kernel_size, layer.dilation, strict=True)
    keeps_size = layer.padding == tuple(side // 2 * spread for side, spread in sides)
    odd = all(side % 2 for side in layer.kernel_size)
    alone = layer.groups == layer.in_channels == layer.out_channels > 1
    return alone and odd and keeps_size and max(layer.stride) == 1 < max(layer.dilation)


def _is_bfloat16(x: Tensor) -> bool:
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return x.dtype == torch.bfloat16
