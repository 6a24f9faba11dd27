"""Fully convolutional networks on VGG16: FCN-32s, FCN-16s and FCN-8s, as published.

J. Long, E. Shelhamer, T. Darrell: Fully Convolutional Networks for Semantic Segmentation,
CVPR 2015, arXiv:1411.4038.

Differences from the paper:

- Input: the reference code feeds blue, green, red in 0..255 minus their mean, as its Caffe weights
  were trained; here the model normalises red, green, blue by mean and standard deviation, as the
  public torchvision weights were trained. Zero padding is the mean colour in both.

Where the paper and the reference code disagree:

- Upsampling: the paper learns the inner transposed convolutions and fixes the last to bilinear
  interpolation (sec. 4.2); the code freezes all. `upsampling` is "frozen" as in the code, which
  gave the published models, or "learned" as in the paper.
- Learning rate, momentum and batch: the paper takes 20 images, rate 1e-4, momentum 0.9 on the mean
  loss; the code 1 image, 1e-10 (32s), 1e-12, 1e-14 (8s), momentum 0.99 on the summed loss. Recipes
  decide, not this file.
- `at_once` trains the 8s net in one go by the fixed scales of the code (the later paper,
  arXiv:1605.06211).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.vgg import VGG16, ConvolutionalClassifier, read_vgg16
from segscape.encoders.weight_files import load_by_name, read_weights
from segscape.layers.bilinear_deconvolution import BilinearDeconvolution
from segscape.models.options import Count, Fraction, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.structures import Taxonomy

Upsampling = Literal["frozen", "learned"]
Stride = Literal[32, 16, 8]

FIRST_PADDING = 100
# Offsets into the larger map, from the reference code's coordinate arithmetic.
CROP_POOL4, CROP_POOL3 = 5, 9
CROP_LOGITS = {32: 19, 16: 27, 8: 31}
# "at-once" scales of pool4 and pool3, which make up for their larger activations.
SCALE_POOL4, SCALE_POOL3 = 0.01, 0.0001
_NEW_WITH = {32: (), 16: ("score_pool4.", "upscore2."), 8: ("score_pool3.", "upscore_pool4.")}


class FCN(SemanticModel):
    """VGG16 with its classifier slid over the image, and scores of finer layers added.

    Args:
        taxonomy: what the outputs mean.
        stride: 32, 16 or 8 pixels between the finest scores.
        in_channels: channels the network reads.
        hidden_channels: of fc6 and fc7; 4096 in VGG16.
        dropout: chance of dropping an activation after fc6 and fc7, in [0, 1).
        upsampling: "frozen" bilinear everywhere, or inner ones "learned".
        at_once: scale pool4 and pool3 so that 8s trains in one stage.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        stride: Stride,
        in_channels: int = 3,
        hidden_channels: int = 4096,
        dropout: float = 0.5,
        upsampling: Upsampling = "frozen",
        at_once: bool = False,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.stride: Stride = stride
        self.strides = tuple(step for step in (8, 16, 32) if step >= stride)
        self.scale_pool4, self.scale_pool3 = (SCALE_POOL4, SCALE_POOL3) if at_once else (1.0, 1.0)
        count, learned = len(taxonomy), upsampling == "learned"
        self.trunk = VGG16(in_channels=in_channels, first_padding=FIRST_PADDING, ceil_mode=True)
        self.classifier = ConvolutionalClassifier(channels=hidden_channels, dropout=dropout)
        self.score_fr = _zero_score(hidden_channels, count)
        if stride <= 16:
            self.upscore2 = BilinearDeconvolution(count, stride=2, learned=learned)
            self.score_pool4 = _zero_score(512, count)
        if stride == 8:
            self.upscore_pool4 = BilinearDeconvolution(count, stride=2, learned=learned)
            self.score_pool3 = _zero_score(256, count)
        self.upscore = BilinearDeconvolution(count, stride=stride, learned=False)

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits of the pixels' size; any size from 1 x 1 works."""
        height, width = pixels.shape[2:]
        _, _, pool3, pool4, pool5 = self.trunk(pixels)
        x = self.score_fr(self.classifier(pool5))
        if self.stride <= 16:
            x = self.upscore2(x)
            skip = self.score_pool4(pool4 * self.scale_pool4)
            x = x + crop(skip, CROP_POOL4, x.shape[2], x.shape[3])
        if self.stride == 8:
            x = self.upscore_pool4(x)
            skip = self.score_pool3(pool3 * self.scale_pool3)
            x = x + crop(skip, CROP_POOL3, x.shape[2], x.shape[3])
        return SemanticOutputs(crop(self.upscore(x), CROP_LOGITS[self.stride], height, width))

    def load_public_vgg16(self, tensors: Mapping[str, Tensor], *, source: str) -> None:
        """Begin from a public `vgg16`: its convolutions, and its classifier made convolutional.

        Raises:
            CheckpointError: when a tensor is missing or of another shape.
        """
        self.trunk.load_public(tensors, source=source)
        self.classifier.load_public(tensors, source=source)

    def upgrade(
        self, coarser: Mapping[str, Tensor], *, source: str = "the coarser network"
    ) -> None:
        """Begin from the trained network of the next coarser stride, as staged training does.

        What the finer network adds stays as it was: zero scores, so that it first predicts what the
        coarser one did, only interpolated in two steps.

        Args:
            coarser: state dict of FCN-32s for a 16s, of FCN-16s for an 8s.
            source: says in errors where the tensors come from.

        Raises:
            CheckpointError: when a tensor is missing or of another shape.
        """
        new = _NEW_WITH[self.stride]
        own = {name: value for name, value in self.state_dict().items() if name.startswith(new)}
        # Normalisation belongs to this model's options, not to the weights.
        own |= {"mean": self.mean, "std": self.std}
        load_by_name(self, {**coarser, **own}, source=source)


def crop(
    x: Float[Tensor, "batch channel _ _"], offset: int, height: int, width: int
) -> Float[Tensor, "batch channel {height} {width}"]:
    """Cut a window out of a map, `offset` pixels from its top and left."""
    return x[:, :, offset : offset + height, offset : offset + width]


def _zero_score(channels: int, categories: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, categories, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias if layer.bias is not None else torch.empty(0))
    return layer


def build_fcn32s(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    hidden_channels: Count = 4096,
    dropout: Fraction = 0.5,
    weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> FCN:
    """Build FCN-32s; `weights` are public vgg16 weights: a file, or "download"."""
    model = FCN(
        taxonomy,
        stride=32,
        in_channels=in_channels,
        hidden_channels=hidden_channels,
        dropout=dropout,
        mean=mean,
        std=std,
    )
    _begin(model, weights, None)
    return model


def build_fcn16s(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    hidden_channels: Count = 4096,
    dropout: Fraction = 0.5,
    upsampling: Upsampling = "frozen",
    weights: Path | Literal["download"] | None = None,
    coarser: Path | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> FCN:
    """Build FCN-16s; `coarser` is the run or model folder (or weights file) of an FCN-32s."""
    model = FCN(
        taxonomy,
        stride=16,
        in_channels=in_channels,
        hidden_channels=hidden_channels,
        dropout=dropout,
        upsampling=upsampling,
        mean=mean,
        std=std,
    )
    _begin(model, weights, coarser)
    return model


def build_fcn8s(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    hidden_channels: Count = 4096,
    dropout: Fraction = 0.5,
    upsampling: Upsampling = "frozen",
    at_once: bool = False,
    weights: Path | Literal["download"] | None = None,
    coarser: Path | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> FCN:
    """Build FCN-8s; `coarser` is the run or model folder (or weights file) of an FCN-16s."""
    model = FCN(
        taxonomy,
        stride=8,
        in_channels=in_channels,
        hidden_channels=hidden_channels,
        dropout=dropout,
        upsampling=upsampling,
        at_once=at_once,
        mean=mean,
        std=std,
    )
    _begin(model, weights, coarser)
    return model


def _begin(model: FCN, weights: Path | Literal["download"] | None, coarser: Path | None) -> None:
    if weights is not None:
        model.load_public_vgg16(read_vgg16(weights), source=f"vgg16 weights ({weights})")
    if coarser is not None:
        model.upgrade(read_weights(coarser), source=f"weights file {coarser}")
