"""DeconvNet: VGG16 and its mirror image of unpooling and deconvolution, object by object.

H. Noh, S. Hong, B. Han: Learning Deconvolution Network for Semantic Segmentation, ICCV 2015,
arXiv:1505.04366.

The network reads 224 x 224 pixels, where its two fully connected layers see the whole. An image is
segmented through object proposals, whose scores are put together by their maximum
(`score_by_proposals`), and together with those of FCN-8s (EDeconvNet, `combine_with_fcn`).

Differences from the paper:

- Input: the release feeds blue, green, red in 0..255 minus their mean; here the model normalises
  red, green, blue by mean and standard deviation, as the public VGG16 weights were trained.
- Other sizes than 224 x 224: called on a whole image, the network slides over it, layer by layer
  (fc6 is a convolution of 7 x 7 without padding, its deconvolution enlarges by as much), so that
  224 x 224 gives what the paper's network gives. The border of smaller images is repeated up to
  224 pixels. The paper never does this; its way is `score_by_proposals`.
- Proposals: the paper takes edge boxes, which are another program's; `ops/region_proposals.py`
  makes boxes of regions. Any boxes can be given.
- Batch normalisation in evaluation uses averages that run along with training, where the release
  makes them anew in 500 passes (eps 1e-9). A batch of one 224 x 224 image has one value per channel
  in fc6 and fc7: there these averages are used in training too.
- Training in two stages is left to recipes: `object_crop` of `transforms/` makes their samples.

Where the paper and the released code disagree:

- EDeconvNet: the paper takes the mean of both networks' probabilities (sec. 4.4); the code
  multiplies the scores, those of FCN-8s cut off at 0, before the softmax. `rule` is "mean" or
  "product".
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from segscape.encoders.convolutional_classifier import convolutionalize
from segscape.encoders.switched_vgg import FIRST_SHIFT, SwitchedVGG16
from segscape.encoders.weight_files import load_by_name, read_torchvision
from segscape.layers.batch_norm import normalize_pooled
from segscape.models.options import Count, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.region_proposals import propose_regions
from segscape.ops.resize import resize_image, resize_maps
from segscape.ops.unpool import unpool
from segscape.structures import ImageBatch, LabelMap, StructureError, Taxonomy

EnsembleRule = Literal["mean", "product"]

SIDE = 224
FC6_KERNEL = 7
# Of the release's deconvolutions.
DECONVOLUTION_STD = 0.01
# Sec. 3.3 and the release: how many proposals, the shortest side of those used, their context.
PROPOSALS = 50
SHORTEST_SIDE_PX = 112
ENLARGED = 1.2


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
        layers = nn.ModuleDict({"fc6": self.fc6.layer, "fc7": self.fc7.layer})
        names = ("classifier.0", "classifier.3")
        turned = convolutionalize(tensors, layers=names, side=7, source=source)
        load_by_name(layers, turned, source=source)


def score_by_proposals(
    model: SemanticModel,
    image: UInt8[Tensor, "channel height width"],
    boxes: Float[Tensor, "proposal 4"] | None = None,
    *,
    proposals: int = PROPOSALS,
    shortest_side_px: int = SHORTEST_SIDE_PX,
    enlarged: float = ENLARGED,
    side_px: int = SIDE,
    batch_size: int = 10,
) -> Float[Tensor, "category height width"]:
    """Score object proposals one by one and take the highest score at each pixel (eq. 1).

    P(x, y, c) = max over i of G_i(x, y, c), with G_i the scores of proposal i, resized to its box,
    and 0 outside. So no score is below 0; where no proposal is, all are 0, and the first category,
    Pascal VOC's background, is taken.

    Args:
        model: in evaluation mode; the result is on its device.
        image: 0..255.
        boxes: left, top, right, bottom in pixels, right and bottom exclusive, the best first; None
            for `propose_regions`. They may leave the image, which is black outside.
        proposals: how many are scored, the first ones that are large enough.
        shortest_side_px: enlarged boxes with a shorter side are left out.
        enlarged: sides of the boxes are multiplied by this, for context.
        side_px: each box is resized to a square of this side.
        batch_size: how many are scored at once.

    Raises:
        StructureError: for boxes without area.
    """
    if boxes is None:
        boxes = propose_regions(image)
    corners = _enlarge(boxes, enlarged)
    sides = (corners[:, 2:] - corners[:, :2]).amin(1)
    if len(sides) and int(sides.min()) < 1:
        raise StructureError("proposals: a box has no area: give left < right and top < bottom")
    chosen: list[list[int]] = corners[sides >= shortest_side_px][:proposals].tolist()
    height, width = image.shape[1:]
    scores = torch.zeros(len(model.taxonomy), height, width, device=model.mean.device)
    for first in range(0, len(chosen), batch_size):
        some = chosen[first : first + batch_size]
        crops = [resize_image(_cut(image, box), (side_px, side_px)) for box in some]
        with torch.no_grad():
            logits = model(ImageBatch.stack(crops).to(scores.device)).logits.float()
        for (left, top, right, bottom), one in zip(some, logits, strict=True):
            resized = resize_maps(one[None], (bottom - top, right - left))[0]
            rows, columns = _overlap(top, bottom, height), _overlap(left, right, width)
            seen = scores[:, rows, columns]
            torch.maximum(seen, resized[:, _moved(rows, -top), _moved(columns, -left)], out=seen)
    return scores


def predict_by_proposals(
    model: SemanticModel,
    image: UInt8[Tensor, "channel height width"],
    boxes: Float[Tensor, "proposal 4"] | None = None,
) -> LabelMap:
    """Segment an image by `score_by_proposals` with the paper's numbers.

    Args:
        model: in evaluation mode.
        image: 0..255.
        boxes: the best first; None for `propose_regions`.

    Raises:
        StructureError: for boxes without area.
    """
    return LabelMap.from_scores(score_by_proposals(model, image, boxes), model.taxonomy)


def combine_with_fcn(
    deconvnet: Float[Tensor, "*batch category height width"],
    fcn: Float[Tensor, "*batch category height width"],
    *,
    rule: EnsembleRule = "mean",
) -> Float[Tensor, "*batch category height width"]:
    """Join the scores of DeconvNet and FCN-8s: EDeconvNet (sec. 4.4).

    Args:
        deconvnet: scores before the softmax, as from `score_by_proposals`.
        fcn: logits of FCN-8s for the same image.
        rule: "mean" of both softmax maps as in the paper, or "product" of the scores, those of
            FCN-8s cut off at 0, and then the softmax, as in the released code.

    Returns:
        Probabilities: they sum to 1 over the categories.

    >>> one, other = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 3.0])
    >>> maps = (one.reshape(2, 1, 1), other.reshape(2, 1, 1))
    >>> [round(float(p), 2) for p in combine_with_fcn(*maps).flatten()]
    [0.45, 0.55]
    >>> [round(float(p), 2) for p in combine_with_fcn(*maps, rule="product").flatten()]
    [0.5, 0.5]
    """
    if rule == "product":
        return (deconvnet * fcn.clamp(min=0)).softmax(-3)
    return (deconvnet.softmax(-3) + fcn.softmax(-3)) / 2


def _enlarge(boxes: Float[Tensor, "proposal 4"], factor: float) -> Tensor:
    """Boxes of the same centres in whole pixels."""
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2 * factor
    return torch.cat([centers - halves, centers + halves], 1).round().long()


def _cut(
    image: UInt8[Tensor, "channel height width"], box: Sequence[int]
) -> UInt8[Tensor, "channel box_height box_width"]:
    """A part of an image that is black beyond its border."""
    left, top, right, bottom = box
    canvas = image.new_zeros(len(image), bottom - top, right - left)
    rows, columns = _overlap(top, bottom, image.shape[1]), _overlap(left, right, image.shape[2])
    canvas[:, _moved(rows, -top), _moved(columns, -left)] = image[:, rows, columns]
    return canvas


def _overlap(start: int, stop: int, length: int) -> slice:
    """The places of start..stop-1 that lie in 0..length-1; none where they miss it."""
    low = min(max(start, 0), length)
    return slice(low, max(min(stop, length), low))


def _moved(places: slice, by: int) -> slice:
    return slice(places.start + by, places.stop + by)


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
