"""torchvision's FCN and DeepLabv3, so that their public weights can be used and trained on.

J. Long, E. Shelhamer, T. Darrell: Fully Convolutional Networks for Semantic Segmentation, 2015,
arXiv:1411.4038; L.-C. Chen et al.: Rethinking Atrous Convolution for Semantic Image Segmentation,
2017, arXiv:1706.05587.

Differences from the papers, all of them torchvision's (the networks of the papers are `fcn8s` and
`deeplab_v3`):

- FCN: a dilated residual network of stride 8 in place of VGG16, a hidden 3 x 3 convolution, and no
  skip connections; bilinear enlarging by eight.
- DeepLabv3: no multi-grid; a 3 x 3 convolution behind the pyramid; dropout of one half; rates of
  12, 24 and 36 over MobileNetV3 too, whose stride is 16.
- Both: an auxiliary FCN head on an earlier map, its loss weighted by one half (torchvision's
  training script).

Differences from torchvision: in training on one image the mean of the map is normalised by running
statistics, where torchvision fails; the auxiliary head runs in training only.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.torchvision_encoder import Backbone, TorchvisionEncoder
from segscape.encoders.weight_files import load_by_name, read_torchvision
from segscape.layers.atrous_conv import AtrousConv2d
from segscape.layers.batch_norm import normalize_pooled
from segscape.models.options import Count, Fraction, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_logits
from segscape.structures import RecipeError, Size, Taxonomy

PUBLIC = {
    ("fcn", "resnet50"): "FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
    ("fcn", "resnet101"): "FCN_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1",
    ("deeplab_v3", "resnet50"): "DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
    ("deeplab_v3", "resnet101"): "DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1",
    (
        "deeplab_v3",
        "mobilenet_v3_large",
    ): "DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1",
}
RATES = (12, 24, 36)
PYRAMID_CHANNELS = 256


class FCNHead(nn.Sequential):
    """A 3 x 3 convolution to a quarter of the channels, dropout, then scores."""

    def __init__(self, in_channels: int, categories: int, *, dropout: float = 0.1) -> None:
        hidden = in_channels // 4
        super().__init__(
            nn.Conv2d(in_channels, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(hidden, categories, 1),
        )


class ImageBranch(nn.Sequential):
    """The mean of the whole map, convolved, normalised and spread over the map again."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(
        self,
        input: Float[Tensor, "batch _ height width"],  # noqa: A002 # torch's name
    ) -> Float[Tensor, "batch out height width"]:
        """One value per channel, shown at every pixel."""
        pool, convolve, norm, activate = self
        pooled = normalize_pooled(cast("nn.BatchNorm2d", norm), convolve(pool(input)))
        return activate(pooled).expand(-1, -1, *input.shape[2:])


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling (arXiv:1706.05587, sec. 3.3) under torchvision's names."""

    def __init__(self, in_channels: int, *, dropout: float) -> None:
        super().__init__()
        out = PYRAMID_CHANNELS
        self.convs = nn.ModuleList(
            [
                _normalized(nn.Conv2d(in_channels, out, 1, bias=False)),
                *(
                    _normalized(
                        AtrousConv2d(in_channels, out, 3, padding=rate, dilation=rate, bias=False)
                    )
                    for rate in RATES
                ),
                ImageBranch(in_channels, out),
            ]
        )
        joined = nn.Conv2d(len(self.convs) * out, out, 1, bias=False)
        self.project = nn.Sequential(*_normalized(joined), nn.Dropout(dropout))

    def forward(
        self, x: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """The projected map, of the input's size."""
        return self.project(torch.cat([branch(x) for branch in self.convs], dim=1))


class DeepLabHead(nn.Sequential):
    """The pyramid, a 3 x 3 convolution, then scores."""

    def __init__(self, in_channels: int, categories: int, *, dropout: float = 0.5) -> None:
        out = PYRAMID_CHANNELS
        super().__init__(
            Pyramid(in_channels, dropout=dropout),
            *_normalized(nn.Conv2d(out, out, 3, padding=1, bias=False)),
            nn.Conv2d(out, categories, 1),
        )


class TorchvisionModel(SemanticModel):
    """A dilated backbone, a head on its last map, and an auxiliary head on an earlier one.

    Args:
        taxonomy: what the outputs mean.
        backbone: gives the map for the auxiliary head and the last one.
        classifier: from the last map to scores; its layer `4` gives the scores.
        auxiliary: whether to have the auxiliary head.
        in_channels: channels the network reads, the same as the backbone's.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    auxiliary_weight = 0.5

    def __init__(
        self,
        taxonomy: Taxonomy,
        backbone: TorchvisionEncoder,
        classifier: FCNHead | DeepLabHead,
        *,
        auxiliary: bool = True,
        in_channels: int = 3,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.backbone = backbone
        self.strides = tuple(sorted(set(backbone.strides)))
        self.coarsest_stride = backbone.strides[-1]
        self.classifier = classifier
        self.aux_classifier = FCNHead(backbone.channels[0], len(taxonomy)) if auxiliary else None

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits of the pixels' size; any size from 1 x 1 works."""
        size = Size(*pixels.shape[2:])
        earlier, last = self.backbone(pixels)
        logits = resize_logits(self.classifier(last), size)
        if self.aux_classifier is None or not self.training:
            return SemanticOutputs(logits)
        return SemanticOutputs(logits, (resize_logits(self.aux_classifier(earlier), size),))

    def load_public(self, tensors: Mapping[str, Tensor], *, source: str) -> None:
        """Begin from a state dict of torchvision's network.

        Where it scores another number of categories, the layers that give scores stay as they are;
        so does the auxiliary head where the state dict has none.

        Args:
            tensors: by torchvision's names.
            source: says in errors where the tensors come from.

        Raises:
            CheckpointError: when a tensor is missing or of another shape.
        """
        kept = ["mean", "std"]
        scores = tensors.get("classifier.4.bias")
        if scores is not None and len(scores) != len(self.taxonomy):
            kept += ["classifier.4.", "aux_classifier.4."]
        if not any(name.startswith("aux_classifier.") for name in tensors):
            kept += ["aux_classifier."]
        load_by_name(self, tensors, source=source, kept=kept)


def build_torchvision_fcn(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: Backbone = "resnet50",
    auxiliary: bool = True,
    dropout: Fraction = 0.1,
    weights: Path | Literal["download"] | None = None,
    encoder_weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> TorchvisionModel:
    """Build torchvision's FCN over a dilated backbone.

    `weights` are those of the whole network: a file, or "download" for torchvision's (COCO images,
    VOC's 21 categories; with other categories all but the score layers are taken).
    `encoder_weights` are the backbone's, of ImageNet.
    """
    backbone = TorchvisionEncoder(encoder, in_channels=in_channels, weights=encoder_weights)
    model = TorchvisionModel(
        taxonomy,
        backbone,
        FCNHead(backbone.channels[-1], len(taxonomy), dropout=dropout),
        auxiliary=auxiliary,
        in_channels=in_channels,
        mean=mean,
        std=std,
    )
    _begin(model, "fcn", encoder, weights)
    return model


def build_torchvision_deeplab_v3(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    encoder: Backbone = "resnet50",
    auxiliary: bool = True,
    dropout: Fraction = 0.5,
    weights: Path | Literal["download"] | None = None,
    encoder_weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> TorchvisionModel:
    """Build torchvision's DeepLabv3 over a dilated backbone.

    `weights` are those of the whole network: a file, or "download" for torchvision's (COCO images,
    VOC's 21 categories; with other categories all but the score layers are taken).
    `encoder_weights` are the backbone's, of ImageNet.
    """
    backbone = TorchvisionEncoder(encoder, in_channels=in_channels, weights=encoder_weights)
    model = TorchvisionModel(
        taxonomy,
        backbone,
        DeepLabHead(backbone.channels[-1], len(taxonomy), dropout=dropout),
        auxiliary=auxiliary,
        in_channels=in_channels,
        mean=mean,
        std=std,
    )
    _begin(model, "deeplab_v3", encoder, weights)
    return model


def _begin(
    model: TorchvisionModel,
    head: str,
    encoder: Backbone,
    weights: Path | Literal["download"] | None,
) -> None:
    if weights is None:
        return
    public = PUBLIC.get((head, encoder), "")
    if weights == "download" and not public:
        have = " or ".join(name for other, name in PUBLIC if other == head)
        raise RecipeError(
            f"torchvision has no {head} weights over {encoder}: choose encoder {have}, or give a "
            "file as weights=PATH"
        )
    model.load_public(
        read_torchvision(public, weights), source=f"{head} {encoder} weights ({weights})"
    )


def _normalized(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU())
