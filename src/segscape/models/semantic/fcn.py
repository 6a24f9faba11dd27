"""Fully convolutional networks as published, on VGG16 and AlexNet, and over any other encoder.

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
- FCN-AlexNet: the paper's rate is 1e-3, the code's 1e-4. The code upsamples it with an odd kernel,
  63, where FCN-32s has 64; we follow the code.
- `at_once` trains the 8s net in one go by the fixed scales of the code (the later paper,
  arXiv:1605.06211).

`EncoderFCN` differs more: images are padded to a multiple of the stride and all convolutions are
padded, which takes the place of the 100 pixels of zeros and of all crops; scores are enlarged by
the one resize rule, which repeats them at the border; and there is no fc6 and fc7, as in the
paper's FCN-GoogLeNet (sec. 4.1).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders import Encoder, build_encoder
from segscape.encoders.alexnet import AlexNet, AlexNetVariant
from segscape.encoders.convolutional_classifier import ConvolutionalClassifier
from segscape.encoders.vgg import VGG16
from segscape.encoders.weight_files import load_by_name, read_torchvision, read_weights
from segscape.layers.bilinear_deconvolution import BilinearDeconvolution
from segscape.models.options import Count, Fraction, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_maps
from segscape.structures import CheckpointError, RecipeError, Size, Taxonomy

Upsampling = Literal["frozen", "learned"]
Stride = Literal[32, 16, 8]

FIRST_PADDING = 100
# Offsets into the larger map, from the reference code's coordinate arithmetic.
CROP_POOL4, CROP_POOL3 = 5, 9
CROP_LOGITS = {32: 19, 16: 27, 8: 31}
CROP_LOGITS_ALEXNET = 18
KERNEL_ALEXNET = 63
# "at-once" scales of pool4 and pool3, which make up for their larger activations.
SCALE_POOL4, SCALE_POOL3 = 0.01, 0.0001
_NEW_WITH = {16: ("score_pool4.", "upscore2."), 8: ("score_pool3.", "upscore_pool4.")}


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
        load_by_name(self.trunk, tensors, source=source, network="vgg16")
        layers = ("classifier.0", "classifier.3")
        self.classifier.load_public(tensors, layers=layers, source=source)

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
            RecipeError: for a 32s, which is the coarsest.
            CheckpointError: when it has another stride or upsampling, or a tensor is missing or of
                another shape.
        """
        if self.stride == 32:
            raise RecipeError(
                "FCN-32s is the first stage and has no coarser network: leave out 'coarser', or "
                "train fcn16s"
            )
        self._refuse_another_stage(coarser, source)
        # Normalisation belongs to this model's options, not to the weights.
        kept = (*_NEW_WITH[self.stride], "mean", "std")
        load_by_name(self, coarser, source=source, kept=kept)

    def _refuse_another_stage(self, coarser: Mapping[str, Tensor], source: str) -> None:
        """Say which stage or option is another than this network needs."""
        if "score_fr.weight" not in coarser:
            return  # no FCN: its tensors are missed by name
        theirs = next((stride for stride in (8, 16) if _scored(stride) in coarser), 32)
        if theirs != 2 * self.stride:
            raise CheckpointError(
                f"{source}: holds an FCN-{theirs}s, and an FCN-{self.stride}s begins from an "
                f"FCN-{2 * self.stride}s: give coarser a run of fcn{2 * self.stride}s"
            )
        kernel = "upscore2.kernel"  # stored where it is learned
        if self.stride == 8 and (kernel in coarser) != (kernel in self.state_dict()):
            learned = kernel in coarser
            was, is_now = ("learned", "frozen") if learned else ("frozen", "learned")
            raise CheckpointError(
                f"{source}: trained with upsampling={was}, and this network has "
                f"upsampling={is_now}: set upsampling={was}, or train the coarser one with "
                f"upsampling={is_now}"
            )


class FCNAlexNet(SemanticModel):
    """AlexNet with its classifier slid over the image, in steps of 32 pixels (table 1).

    Args:
        taxonomy: what the outputs mean.
        in_channels: channels the network reads.
        variant: "published", as in Caffe, or "torchvision", whose public weights can be loaded.
        hidden_channels: of fc6 and fc7; 4096 in AlexNet.
        dropout: chance of dropping an activation after fc6 and fc7, in [0, 1).
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    strides = (32,)

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        in_channels: int = 3,
        variant: AlexNetVariant = "published",
        hidden_channels: int = 4096,
        dropout: float = 0.5,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.trunk = AlexNet(
            in_channels=in_channels, variant=variant, first_padding=FIRST_PADDING, pool_padding=0
        )
        self.classifier = ConvolutionalClassifier(
            in_channels=256, side=6, channels=hidden_channels, dropout=dropout
        )
        self.score_fr = _zero_score(hidden_channels, len(taxonomy))
        self.upscore = BilinearDeconvolution(
            len(taxonomy), stride=32, learned=False, side=KERNEL_ALEXNET
        )

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits of the pixels' size; any size from 1 x 1 works."""
        height, width = pixels.shape[2:]
        x = self.score_fr(self.classifier(self.trunk(pixels)[-1]))
        return SemanticOutputs(crop(self.upscore(x), CROP_LOGITS_ALEXNET, height, width))

    def load_public_alexnet(self, tensors: Mapping[str, Tensor], *, source: str) -> None:
        """Begin from a public `alexnet`: its convolutions, and its classifier made convolutional.

        Raises:
            CheckpointError: when a tensor is missing or of another shape.
        """
        load_by_name(self.trunk, tensors, source=source, network="alexnet")
        layers = ("classifier.1", "classifier.4")
        self.classifier.load_public(tensors, layers=layers, source=source)


class EncoderFCN(SemanticModel):
    """Scores of an encoder's maps, added up from coarse to fine.

    Args:
        taxonomy: what the outputs mean.
        encoder: gives the maps; where several have one stride, the deepest is scored.
        stride: 32, 16 or 8 pixels between the finest scores.
        in_channels: channels the network reads, the same as the encoder's.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.

    Raises:
        RecipeError: when the encoder lacks a map of one of the strides.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        encoder: Encoder,
        *,
        stride: Stride = 8,
        in_channels: int = 3,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.encoder = encoder
        self.pad_to = encoder.size_multiple
        self.strides = tuple(step for step in (8, 16, 32) if step >= stride)
        index_at = {step: index for index, step in enumerate(encoder.strides)}
        if not set(self.strides) <= set(index_at):
            raise RecipeError(
                f"fcn: the encoder's maps have strides {encoder.strides}, scores of stride "
                f"{stride} need {self.strides}: choose another encoder, as resnet50"
            )
        self._coarsest_first = [index_at[step] for step in reversed(self.strides)]
        self.scores = nn.ModuleList(
            _zero_score(encoder.channels[index], len(taxonomy)) for index in self._coarsest_first
        )

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits for normalised pixels whose sides are multiples of `pad_to`."""
        maps = self.encoder(pixels)
        coarsest, *finer = [
            score(maps[index])
            for score, index in zip(self.scores, self._coarsest_first, strict=True)
        ]
        x = coarsest
        for scores in finer:
            x = resize_maps(x, Size(*scores.shape[2:])) + scores
        return SemanticOutputs(resize_maps(x, Size(*pixels.shape[2:])))


def crop(
    x: Float[Tensor, "batch channel _ _"], offset: int, height: int, width: int
) -> Float[Tensor, "batch channel {height} {width}"]:
    """Cut a window out of a map, `offset` pixels from its top and left."""
    return x[:, :, offset : offset + height, offset : offset + width]


def _scored(stride: int) -> str:
    """A tensor that networks have whose scores are as fine as this."""
    return f"score_pool{stride.bit_length() - 1}.weight"


def _zero_score(channels: int, categories: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, categories, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer


def build_fcn(
    taxonomy: Taxonomy,
    *,
    stride: Stride,
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
    """Build the published network of this stride.

    `weights` are public vgg16 weights: a file, or "download". `coarser` is the run or model folder
    (or weights file) of the network of the next coarser stride, for staged training.

    Raises:
        RecipeError: for a coarser network at once, whose scores its scales would undo.
    """
    if coarser is not None and at_once:
        raise RecipeError(
            "fcn: at_once scales the pooled maps, which the coarser network was trained without: "
            "leave out coarser, or set at_once to false"
        )
    model = FCN(
        taxonomy,
        stride=stride,
        in_channels=in_channels,
        hidden_channels=hidden_channels,
        dropout=dropout,
        upsampling=upsampling,
        at_once=at_once,
        mean=mean,
        std=std,
    )
    if weights is not None:
        public = read_torchvision("VGG16_Weights.IMAGENET1K_V1", weights)
        model.load_public_vgg16(public, source=f"vgg16 weights ({weights})")
    if coarser is not None:
        model.upgrade(read_weights(coarser), source=f"weights file {coarser}")
    return model


def build_fcn_alexnet(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    variant: AlexNetVariant = "published",
    hidden_channels: Count = 4096,
    dropout: Fraction = 0.5,
    weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> FCNAlexNet:
    """Build FCN-AlexNet; `weights` are public alexnet weights, which fit variant "torchvision"."""
    if weights is not None and variant != "torchvision":
        raise RecipeError(
            f"fcn_alexnet: public weights do not fit the variant '{variant}': set "
            "variant=torchvision or leave out weights"
        )
    model = FCNAlexNet(
        taxonomy,
        in_channels=in_channels,
        variant=variant,
        hidden_channels=hidden_channels,
        dropout=dropout,
        mean=mean,
        std=std,
    )
    if weights is not None:
        public = read_torchvision("AlexNet_Weights.IMAGENET1K_V1", weights)
        model.load_public_alexnet(public, source=f"alexnet weights ({weights})")
    return model


def build_fcn_resnet(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: str = "resnet50",
    stride: Stride = 8,
    weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> EncoderFCN:
    """Build an FCN over a ResNet or any other encoder; `weights` are the encoder's."""
    return EncoderFCN(
        taxonomy,
        build_encoder(encoder, in_channels=in_channels, weights=weights),
        stride=stride,
        in_channels=in_channels,
        mean=mean,
        std=std,
    )
