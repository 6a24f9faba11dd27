"""torchvision's dilated backbones under torchvision's own names, for its public weights.

K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition, 2015,
arXiv:1512.03385; A. Howard et al.: Searching for MobileNetV3, 2019, arXiv:1905.02244.

Differences from the papers: torchvision's. Residual blocks stride in their 3 x 3 convolution, and
the stages behind stride 8 (ResNet) or 16 (MobileNetV3) are dilated in place of striding.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.weight_files import load_by_name, read_torchvision
from segscape.layers.atrous_conv import correct_depthwise

Backbone = Literal["resnet50", "resnet101", "mobilenet_v3_large"]


@dataclass(frozen=True)
class _Facts:
    """The two maps that torchvision's heads read, and the public ImageNet weights."""

    maps: tuple[str, str]
    channels: tuple[int, int]
    strides: tuple[int, int]
    weights: str


_BACKBONES: dict[Backbone, _Facts] = {
    "resnet50": _Facts(
        ("layer3", "layer4"), (1024, 2048), (8, 8), "ResNet50_Weights.IMAGENET1K_V1"
    ),
    "resnet101": _Facts(
        ("layer3", "layer4"), (1024, 2048), (8, 8), "ResNet101_Weights.IMAGENET1K_V1"
    ),
    "mobilenet_v3_large": _Facts(
        ("4", "16"), (40, 960), (8, 16), "MobileNet_V3_Large_Weights.IMAGENET1K_V1"
    ),
}


class TorchvisionEncoder(nn.ModuleDict):
    """The layers of a torchvision classifier up to its last map; the layers keep their names.

    Any size is read; maps have ceil(height / stride) rows.

    Args:
        name: `resnet50`, `resnet101` or `mobilenet_v3_large`.
        in_channels: channels of the input.
        weights: of ImageNet classification: None, a file, or "download" for torchvision's.

    Raises:
        CheckpointError: when the weights do not fit or cannot be fetched.
    """

    size_multiple: int = 1

    def __init__(
        self,
        name: Backbone,
        *,
        in_channels: int = 3,
        weights: Path | Literal["download"] | None = None,
    ) -> None:
        facts = _BACKBONES[name]
        layers = _layers(name)
        last = list(layers).index(facts.maps[-1])
        super().__init__(dict(list(layers.items())[: last + 1]))
        correct_depthwise(self)
        self._maps = facts.maps
        self.channels: tuple[int, ...] = facts.channels
        self.strides: tuple[int, ...] = facts.strides
        if in_channels != 3:
            self._read(in_channels)
        if weights is not None:
            public = read_torchvision(facts.weights, weights)
            # MobileNet's layers stand in a sequence of this name.
            tensors = {key.removeprefix("features."): value for key, value in public.items()}
            load_by_name(self, tensors, source=f"{name} weights ({weights})", network=name)

    def forward(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """The map for an auxiliary or low-level head, and the last one."""
        maps: list[Tensor] = []
        x = pixels
        for name, layer in self.items():
            x = layer(x)
            if name in self._maps:
                maps.append(x)
        return maps

    def _read(self, in_channels: int) -> None:
        """Let the first convolution read other channels than three."""
        name, parent = next(
            (name, parent)
            for parent in self.modules()
            for name, child in parent.named_children()
            if isinstance(child, nn.Conv2d)
        )
        old = parent.get_submodule(name)
        if isinstance(old, nn.Conv2d):
            size, padding = old.kernel_size[0], old.kernel_size[0] // 2
            new = nn.Conv2d(in_channels, old.out_channels, size, 2, padding, bias=False)
            nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
            setattr(parent, name, new)


def _layers(name: Backbone) -> dict[str, nn.Module]:
    from torchvision import models

    if name == "mobilenet_v3_large":
        return dict(models.mobilenet_v3_large(weights=None, dilated=True).features.named_children())
    build = {"resnet50": models.resnet50, "resnet101": models.resnet101}[name]
    network = build(weights=None, replace_stride_with_dilation=[False, True, True])
    return dict(network.named_children())
