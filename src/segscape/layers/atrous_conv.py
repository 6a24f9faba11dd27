"""An atrous convolution that stays fast over many channels.

oneDNN's bfloat16 convolution for processors with matrix units is 6 to 10 times slower where taps
lie apart and the input has many channels (measured on 2048 channels of 32 x 32 and 64 x 64 pixels
at rates from 4 to 36, torch 2.15; not on 1280 and fewer, nor at rates of 1 and 2). A convolution
over 2048 channels is the sum of eight over 256 each.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

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
        if max(self.dilation) <= _NEAR_TAPS:
            return False
        if torch.is_autocast_enabled("cpu"):
            return torch.get_autocast_dtype("cpu") == torch.bfloat16
        return x.dtype == torch.bfloat16
