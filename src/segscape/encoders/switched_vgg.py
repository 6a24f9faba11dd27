"""VGG16 with batch normalisation whose poolings remember where the maxima stood.

The encoder of H. Noh, S. Hong, B. Han: Learning Deconvolution Network for Semantic Segmentation,
2015, arXiv:1505.04366, and of V. Badrinarayanan, A. Kendall, R. Cipolla: SegNet, 2015,
arXiv:1511.00561: the convolutions of K. Simonyan, A. Zisserman, 2014, arXiv:1409.1556
(configuration D), batch normalisation after each (S. Ioffe, C. Szegedy, 2015, arXiv:1502.03167).

Differences from the papers: none in the layers. They begin from VGG16 without batch normalisation;
public weights of either kind fit here.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.weight_files import load_by_name
from segscape.ops.unpool import Switches, pool_with_switches
from segscape.structures import CheckpointError

# Convolutions of each level, and their channels as multiples of the first level's 64.
CONVOLUTIONS = (2, 2, 3, 3, 3)
MULTIPLES = (1, 2, 4, 8, 8)
# With which batch normalisation begins in both releases.
FIRST_SHIFT = 0.001


class PoolWithSwitches(nn.Module):
    """Max pooling of 2 x 2 windows that returns the switches too."""

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> tuple[Float[Tensor, "batch channel _ _"], Switches]:
        """Half the map, odd sides rounded up."""
        return pool_with_switches(x)


def normalized_convolution(
    before: int, after: int, *, kernel_size: int = 3
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution with a bias, and batch normalisation, as both papers begin them.

    Args:
        before: channels of the input.
        after: channels of the output.
        kernel_size: odd side of the kernel in pixels.
    """
    convolution = nn.Conv2d(before, after, kernel_size, padding=kernel_size // 2)
    # SegNet, sec. 3: the method of He et al. 2015, arXiv:1502.01852.
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    nn.init.zeros_(convolution.get_parameter("bias"))
    norm = nn.BatchNorm2d(after)
    nn.init.constant_(norm.bias, FIRST_SHIFT)
    return convolution, norm


class SwitchedVGG16(nn.Module):
    """Thirteen convolutions, each with batch normalisation and ReLU, and five poolings.

    The modules carry torchvision's names of `vgg16_bn` (`features.0` ...).

    Args:
        in_channels: channels of the input.
        channels: of the first level; 64 in VGG16.
        dropout: chance of dropping an activation after the poolings of the three deepest levels,
            in [0, 1).
    """

    strides: tuple[int, ...] = (2, 4, 8, 16, 32)

    def __init__(self, *, in_channels: int = 3, channels: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.channels = tuple(channels * multiple for multiple in MULTIPLES)
        self.dropout = dropout
        layers: list[nn.Module] = []
        before = in_channels
        for width, count in zip(self.channels, CONVOLUTIONS, strict=True):
            for _ in range(count):
                layers += [*normalized_convolution(before, width), nn.ReLU(inplace=True)]
                before = width
            layers.append(PoolWithSwitches())
        self.features = nn.Sequential(*layers)

    def forward(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> tuple[Float[Tensor, "batch deepest _ _"], list[Switches]]:
        """The deepest pooled map, and the switches of the five poolings, finest first."""
        x = pixels
        switches: list[Switches] = []
        for module in self.features:
            if not isinstance(module, PoolWithSwitches):
                x = module(x)
                continue
            x, found = module(x)
            switches.append(found)
            if len(switches) > 2:
                x = F.dropout(x, self.dropout, self.training)
        return x, switches

    def mirrored_widths(self, last: int) -> list[list[int]]:
        """Channels of a decoder that mirrors the convolutions, deepest level first.

        Each level ends with the channels of the next finer one, the finest with `last`.

        >>> SwitchedVGG16().mirrored_widths(11)[2:]
        [[256, 256, 128], [128, 64], [64, 11]]
        """
        levels = zip(CONVOLUTIONS, pairwise((last, *self.channels)), strict=True)
        widths = [[width] * (count - 1) + [finer] for count, (finer, width) in levels]
        return widths[::-1]

    def load_public(self, tensors: Mapping[str, Tensor], *, source: str) -> None:
        """Fill the convolutions from a public state dict of torchvision's names.

        Args:
            tensors: of `vgg16_bn`; or of `vgg16`, and then batch normalisation stays as it is.
            source: says in errors where the tensors come from.

        Raises:
            CheckpointError: when a tensor is missing or of another shape, as of a network that was
                made narrower than VGG16.
        """
        first = tensors.get("features.0.weight")
        if first is not None and first.shape[0] != self.channels[0]:
            raise CheckpointError(
                f"{source} begins with {first.shape[0]} channels, the network with "
                f"{self.channels[0]}: leave out the option channels, or weights"
            )
        if "features.1.running_mean" not in tensors:
            tensors = self._beside_batch_norms(tensors, source)
        load_by_name(self, tensors, source=source, network="vgg16_bn")

    def _beside_batch_norms(self, tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
        """Name the convolutions of a `vgg16` as those of `vgg16_bn` are."""
        theirs = sorted(
            int(name.split(".")[1])
            for name, tensor in tensors.items()
            if name.startswith("features.") and name.endswith(".weight") and tensor.ndim == 4
        )
        ours = [place for place, layer in enumerate(self.features) if isinstance(layer, nn.Conv2d)]
        if len(theirs) != len(ours):
            raise CheckpointError(
                f"{source} has {len(theirs)} convolutions named features.N, VGG16 has "
                f"{len(ours)}: give the weights of vgg16 or vgg16_bn"
            )
        convolutions = tuple(f"features.{our}." for our in ours)
        renamed = {
            name: tensor
            for name, tensor in self.state_dict().items()
            if not name.startswith(convolutions)
        }
        for our, their in zip(ours, theirs, strict=True):
            for part in ("weight", "bias"):
                tensor = tensors.get(f"features.{their}.{part}")
                if tensor is not None:
                    renamed[f"features.{our}.{part}"] = tensor
        return renamed
