"""The last convolution of the DeepLabs."""

from torch import nn

from segscape.layers.atrous_conv import AtrousConv2d


def score_layer(
    channels: int, categories: int, *, kernel_size: int = 1, rate: int = 1
) -> nn.Conv2d:
    """A convolution that gives scores, begun as the released code does: Gaussian, 0.01 wide.

    Args:
        channels: of the input.
        categories: scores per pixel.
        kernel_size: odd side of the kernel.
        rate: distance of its taps.
    """
    layer = AtrousConv2d(
        channels, categories, kernel_size, padding=rate * (kernel_size // 2), dilation=rate
    )
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer
