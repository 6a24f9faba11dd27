"""SegNet and SegNet-Basic: a decoder that unpools by the encoder's switches.

V. Badrinarayanan, A. Kendall, R. Cipolla: SegNet: A Deep Convolutional Encoder-Decoder Architecture
for Image Segmentation, 2015, arXiv:1511.00561 (PAMI 2017).

Differences from the paper:

- Input: the released SegNet reads blue, green, red in 0..255 as they are; here the model normalises
  red, green, blue by mean and standard deviation, as the public VGG16 weights were trained.
- Batch normalisation in evaluation uses averages that run along with training. The release makes
  them anew in a pass over the training images (`compute_bn_statistics.py`, eps 1e-9).
- Convolutions keep their biases although batch normalisation follows, as in the release, where they
  make up the counts: 29,433,483 parameters (SegNet, 11 classes) and 1,415,563 (SegNet-Basic), with
  scales and shifts of batch normalisation 29,449,355 and 1,416,587.

Where the paper and the released code disagree:

- SegNet-Basic: the paper normalises its input by local contrast (sec. 4.1, with no window given:
  here the Gaussian of 9 x 9 of Jarrett et al. 2009), the release by local response.
  `normalization` is "local_response" as in the release, "local_contrast" or "none".
- Dropout: the paper speaks of one half after deeper layers (sec. 4.2), the release has none.
  `dropout` is 0 as in the release; other values drop where Bayesian SegNet (arXiv:1511.02680)
  does: after the encoder's and the decoder's three deepest levels, two in SegNet-Basic.
- Class weights: the release states numbers that are not those of its formula
  (`SEGNET_CAMVID_RELEASE` of `ops/class_weights.py`).
"""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.switched_vgg import (
    PoolWithSwitches,
    SwitchedVGG16,
    normalized_convolution,
)
from segscape.encoders.weight_files import read_torchvision
from segscape.models.options import Count, Fraction, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_maps
from segscape.ops.unpool import Switches, unpool
from segscape.structures import Size, Taxonomy

Upsampling = Literal["switches", "bilinear"]
Normalization = Literal["local_response", "local_contrast", "none"]

# SegNet-Basic: four levels of one width, large kernels (sec. 3.1).
BASIC_LEVELS = 4
BASIC_KERNEL = 7
# Jarrett et al.: What is the Best Multi-Stage Architecture for Object Recognition?, ICCV 2009.
CONTRAST_WINDOW = 9
CONTRAST_SIGMA_PX = CONTRAST_WINDOW / 4


class SegNet(SemanticModel):
    """VGG16's convolutions, and their mirror image over maps unpooled by switches (fig. 2).

    Args:
        taxonomy: what the outputs mean.
        in_channels: channels the network reads.
        channels: of the first level; 64 in VGG16.
        upsampling: by "switches", or "bilinear" interpolation, to which table 1 compares them.
        dropout: chance of dropping an activation after the three deepest levels of encoder and
            decoder, in [0, 1).
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    strides = SwitchedVGG16.strides
    # The last pooling is not normalised after.
    coarsest_stride = SwitchedVGG16.strides[-2]

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        in_channels: int = 3,
        channels: int = 64,
        upsampling: Upsampling = "switches",
        dropout: float = 0.0,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.upsampling: Upsampling = upsampling
        self.dropout = dropout
        self.encoder = SwitchedVGG16(in_channels=in_channels, channels=channels, dropout=dropout)
        levels = self.encoder.mirrored_widths(channels)
        levels[-1].pop()  # the last convolution is the classifier
        before = self.encoder.channels[-1]
        self.decoder = nn.ModuleList()
        for widths in levels:
            layers: list[nn.Module] = []
            for width in widths:
                layers += [*normalized_convolution(before, width), nn.ReLU(inplace=True)]
                before = width
            self.decoder.append(nn.Sequential(*layers))
        # No batch normalisation and no ReLU.
        self.classifier = nn.Conv2d(before, len(taxonomy), 3, padding=1)
        _initialize(self.classifier)

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits of the pixels' size; any size from 1 x 1 works."""
        x, switches = self.encoder(pixels)
        for level, block in enumerate(self.decoder):
            x = block(_upsample(x, switches[-1 - level], self.upsampling))
            if level < 3:
                x = F.dropout(x, self.dropout, self.training)
        return SemanticOutputs(self.classifier(x))


class SegNetBasic(SemanticModel):
    """Four convolutions down, four up without ReLU, and a classifier (sec. 3.1).

    Args:
        taxonomy: what the outputs mean.
        in_channels: channels the network reads.
        channels: of all levels, 64 in the paper.
        normalization: of the input, "local_response", "local_contrast" or "none".
        upsampling: by "switches", or "bilinear" interpolation.
        dropout: chance of dropping an activation after the two deepest levels of encoder and
            decoder, in [0, 1).
        mean: per channel, of images in [0, 1]; None for ImageNet's, and for 0 with local response
            normalisation, which the release feeds with 0..255.
        std: likewise, and for 1/255.
    """

    strides = (2, 4, 8, 16)
    coarsest_stride = strides[-2]

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        in_channels: int = 3,
        channels: int = 64,
        normalization: Normalization = "local_response",
        upsampling: Upsampling = "switches",
        dropout: float = 0.0,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        if normalization == "local_response":
            mean = [0.0] * in_channels if mean is None else mean
            std = [1 / 255] * in_channels if std is None else std
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.normalization: Normalization = normalization
        self.upsampling: Upsampling = upsampling
        self.dropout = dropout
        widths = [in_channels] + [channels] * (BASIC_LEVELS - 1)
        self.encoder = nn.ModuleList(
            nn.Sequential(
                *normalized_convolution(width, channels, kernel_size=BASIC_KERNEL), nn.ReLU()
            )
            for width in widths
        )
        self.pool = PoolWithSwitches()
        self.decoder = nn.ModuleList(
            nn.Sequential(*normalized_convolution(channels, channels, kernel_size=BASIC_KERNEL))
            for _ in range(BASIC_LEVELS)
        )
        self.classifier = nn.Conv2d(channels, len(taxonomy), 1)
        _initialize(self.classifier)

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits of the pixels' size; any size from 1 x 1 works."""
        x = pixels
        if self.normalization == "local_response":
            x = F.local_response_norm(x, size=5, alpha=1e-4, beta=0.75)
        elif self.normalization == "local_contrast":
            x = normalize_local_contrast(x)
        found: list[Switches] = []
        for level, block in enumerate(self.encoder):
            x, switches = self.pool(block(x))
            found.append(switches)
            if level >= BASIC_LEVELS - 2:
                x = F.dropout(x, self.dropout, self.training)
        for level, block in enumerate(self.decoder):
            x = block(_upsample(x, found[-1 - level], self.upsampling))
            if level < 2:
                x = F.dropout(x, self.dropout, self.training)
        return SemanticOutputs(self.classifier(x))


def normalize_local_contrast(
    pixels: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch channel height width"]:
    """Subtract the mean around each pixel, over all channels, and divide by the deviation there.

    Where the deviation is below its mean over the image it is divided by that mean instead, so that
    plain regions are not blown up. The image is continued by its border.

    >>> flat = normalize_local_contrast(torch.full((1, 3, 5, 5), 0.3))
    >>> float(flat.abs().max()) < 1e-3
    True
    """
    centered = pixels - _around(pixels)
    deviation = _around(centered.square()).sqrt()
    floor = deviation.mean((1, 2, 3), keepdim=True)
    return centered / torch.maximum(deviation, floor).clamp(min=1e-4)


def _around(
    x: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch 1 height width"]:
    """The mean over channels and over a Gaussian window."""
    reach = CONTRAST_WINDOW // 2
    distance = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    line = torch.exp(-(distance**2) / (2 * CONTRAST_SIGMA_PX**2))
    line = line / line.sum()
    mean = F.pad(x.mean(1, keepdim=True), (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(mean, line.reshape(1, 1, 1, -1)), line.reshape(1, 1, -1, 1))


def _upsample(
    x: Float[Tensor, "batch channel _ _"], switches: Switches, upsampling: Upsampling
) -> Float[Tensor, "batch channel height width"]:
    if upsampling == "bilinear":
        return resize_maps(x, Size(*switches.size))
    return unpool(x, switches)


def _initialize(classifier: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(classifier.weight, nonlinearity="relu")
    nn.init.zeros_(classifier.get_parameter("bias"))


def build_segnet(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    channels: Count = 64,
    upsampling: Upsampling = "switches",
    dropout: Fraction = 0.0,
    weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> SegNet:
    """Build SegNet; `weights` are the encoder's: a file of vgg16_bn or vgg16, or "download"."""
    model = SegNet(
        taxonomy,
        in_channels=in_channels,
        channels=channels,
        upsampling=upsampling,
        dropout=dropout,
        mean=mean,
        std=std,
    )
    if weights is not None:
        public = read_torchvision("VGG16_BN_Weights.IMAGENET1K_V1", weights)
        model.encoder.load_public(public, source=f"vgg16 weights ({weights})")
    return model


def build_segnet_basic(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    channels: Count = 64,
    normalization: Normalization = "local_response",
    upsampling: Upsampling = "switches",
    dropout: Fraction = 0.0,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> SegNetBasic:
    """Build SegNet-Basic; `channels` are those of all levels."""
    return SegNetBasic(
        taxonomy,
        in_channels=in_channels,
        channels=channels,
        normalization=normalization,
        upsampling=upsampling,
        dropout=dropout,
        mean=mean,
        std=std,
    )
