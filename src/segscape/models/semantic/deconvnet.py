"""DeconvNet: VGG16 and its mirror image of unpooling and deconvolution, object by object.

H. Noh, S. Hong, B. Han: Learning Deconvolution Network for Semantic Segmentation, ICCV 2015,
arXiv:1505.04366.

The network reads 224 x 224 pixels, where its two fully connected layers see the whole. In the paper
an image is segmented through object proposals, whose scores are put together by their maximum
(`inference/proposals.py`; `prediction.proposals` of a recipe, `--proposals`), and together with
FCN-8s (EDeconvNet: `inference/ensemble.py`; `prediction.ensemble`, `--with`).

Differences from the paper:

- Input: the release feeds blue, green, red in 0..255 minus their mean; here the model normalises
  red, green, blue by mean and standard deviation, as the public VGG16 weights were trained.
- Other sizes than 224 x 224: called on a whole image, the network slides over it, layer by layer
  (fc6 is a convolution of 7 x 7 without padding, its deconvolution enlarges by as much), so that
  224 x 224 gives what the paper's network gives. The border of smaller images is repeated up to
  224 pixels. The paper never does this.
- Batch normalisation in evaluation uses averages that run along with training, where the release
  makes them anew in 500 passes (eps 1e-9). A batch of one 224 x 224 image has one value per channel
  in fc6 and fc7: there these averages are used in training too.
- Training in two stages is left to recipes: `object_crop` and `proposal_crop` of `transforms/` make
  their samples.
- The fully connected CRF is not part of the network: it refines scores after it, as the Refiner
  `classical/dense_crf.py` with the release's setting, deconvnet.
"""

from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.convolutional_classifier import convolutionalize
from segscape.encoders.switched_vgg import FIRST_SHIFT, SwitchedVGG16
from segscape.encoders.weight_files import load_by_name, read_torchvision
from segscape.layers.batch_norm import normalize_pooled
from segscape.models.options import Count, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.unpool import unpool
from segscape.structures import CheckpointError, Taxonomy

SIDE = 224
FC6_KERNEL = 7
# Of the release's deconvolutions.
DECONVOLUTION_STD = 0.01


class NormalizedLayer(nn.Module):
    """A convolution or deconvolution with bias, batch normalisation, ReLU.

    Args:
        layer: what is normalised.
    """

    def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.layer = layer
        self.norm = nn.BatchNorm2d(layer.out_channels)
        nn.init.constant_(self.norm.bias, FIRST_SHIFT)

    def forward(
        self, x: Float[Tensor, "batch _ _ _"]
    ) -> Float[Tensor, "batch out out_height out_width"]:
        """The activated map."""
        return F.relu(normalize_pooled(self.norm, self.layer(x)), inplace=True)


class DeconvNet(SemanticModel):
    """VGG16 down to one place, its mirror image back up (fig. 2).

    Args:
        taxonomy: what the outputs mean.
        in_channels: channels the network reads.
        channels: of the first level; 64 in VGG16.
        hidden_channels: of fc6 and fc7; 4096 in VGG16.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    strides = SwitchedVGG16.strides

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        in_channels: int = 3,
        channels: int = 64,
        hidden_channels: int = 4096,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.encoder = SwitchedVGG16(in_channels=in_channels, channels=channels)
        deepest = self.encoder.channels[-1]
        self.fc6 = NormalizedLayer(nn.Conv2d(deepest, hidden_channels, FC6_KERNEL))
        self.fc7 = NormalizedLayer(nn.Conv2d(hidden_channels, hidden_channels, 1))
        self.fc6_deconv = _deconvolution(hidden_channels, deepest, FC6_KERNEL, padding=0)
        self.decoder = nn.ModuleList()
        before = deepest
        for widths in self.encoder.mirrored_widths(channels):
            layers: list[nn.Module] = []
            for width in widths:
                layers.append(_deconvolution(before, width, 3, padding=1))
                before = width
            self.decoder.append(nn.Sequential(*layers))
        self.score_fr = nn.Conv2d(channels, len(taxonomy), 1)
        self._initialize()

    def _initialize(self) -> None:
        for layer in (self.fc6.layer, self.fc7.layer):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.get_parameter("bias"))
        nn.init.normal_(self.score_fr.weight, std=DECONVOLUTION_STD)
        nn.init.zeros_(self.score_fr.get_parameter("bias"))

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits of the pixels' size; any size from 1 x 1 works."""
        height, width = pixels.shape[2:]
        lacking = (0, max(SIDE - width, 0), 0, max(SIDE - height, 0))
        x, switches = self.encoder(F.pad(pixels, lacking, mode="replicate"))
        x = self.fc6_deconv(self.fc7(self.fc6(x)))
        for block, found in zip(self.decoder, reversed(switches), strict=True):
            x = block(unpool(x, found))
        return SemanticOutputs(self.score_fr(x)[:, :, :height, :width])

    def load_public_vgg16(self, weights: Path | Literal["download"]) -> None:
        """Begin from public `vgg16_bn` or `vgg16` weights, fc6 and fc7 included.

        Args:
            weights: a file, or "download" for torchvision's `vgg16_bn`.

        Raises:
            CheckpointError: when they cannot be read or fetched, or do not fit.
        """
        tensors, source = (
            read_torchvision("VGG16_BN_Weights.IMAGENET1K_V1", weights),
            f"vgg16 weights ({weights})",
        )
        self.encoder.load_public(tensors, source=source)
        names = ("classifier.0", "classifier.3")
        turned = convolutionalize(tensors, layers=names, side=FC6_KERNEL, source=source)
        theirs, ours = len(turned["fc6.weight"]), self.fc6.layer.out_channels
        if theirs != ours:
            raise CheckpointError(
                f"{source} has {theirs} channels in fc6, the network {ours}: leave out the option "
                "hidden_channels, or weights"
            )
        named = {name.replace(".", ".layer."): tensor for name, tensor in turned.items()}
        kept = [name for name in self.state_dict() if name not in named]
        load_by_name(self, named, source=source, kept=kept)


def _deconvolution(before: int, after: int, kernel: int, *, padding: int) -> NormalizedLayer:
    layer = nn.ConvTranspose2d(before, after, kernel, padding=padding)
    nn.init.normal_(layer.weight, std=DECONVOLUTION_STD)
    nn.init.zeros_(layer.get_parameter("bias"))
    return NormalizedLayer(layer)


def build_deconvnet(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    channels: Count = 64,
    hidden_channels: Count = 4096,
    weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> DeconvNet:
    """Build DeconvNet; `weights` begin its encoder: a file of vgg16_bn or vgg16, or "download"."""
    model = DeconvNet(
        taxonomy,
        in_channels=in_channels,
        channels=channels,
        hidden_channels=hidden_channels,
        mean=mean,
        std=std,
    )
    if weights is not None:
        model.load_public_vgg16(weights)
    return model
