"""Lite reduced atrous spatial pyramid pooling (LR-ASPP) on MobileNetV3.

A. Howard et al.: Searching for MobileNetV3, ICCV 2019, arXiv:1905.02244, sec. 6.4 and fig. 10.

Differences from the paper, all of them torchvision's, whose public weights load by name: the gate
sees the mean of the whole map, not of windows of 49 x 49 every 16 x 20 pixels; the last block keeps
its channels (the paper halves them); the logits are enlarged from stride 8 to 1.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.torchvision_encoder import TorchvisionEncoder
from segscape.encoders.weight_files import load_by_name, read_torchvision
from segscape.models.options import Count, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.resize import resize_logits, resize_maps
from segscape.structures import Size, Taxonomy

PUBLIC = "LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1"


class LRASPPHead(nn.Module):
    """A convolution gated by the mean of the map, enlarged twice; scores of two maps added.

    Args:
        low_channels: of the finer map.
        high_channels: of the coarser map.
        categories: scores per pixel.
        channels: of the gated convolution.
    """

    def __init__(
        self, low_channels: int, high_channels: int, categories: int, *, channels: int
    ) -> None:
        super().__init__()
        self.cbr = nn.Sequential(
            nn.Conv2d(high_channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(high_channels, channels, 1, bias=False),
            nn.Sigmoid(),
        )
        self.low_classifier = nn.Conv2d(low_channels, categories, 1)
        self.high_classifier = nn.Conv2d(channels, categories, 1)

    def forward(
        self,
        low: Float[Tensor, "batch _ height width"],
        high: Float[Tensor, "batch _ _ _"],
    ) -> Float[Tensor, "batch category height width"]:
        """Scores at the resolution of the finer map."""
        gated = self.cbr(high) * self.scale(high)
        fine = resize_maps(gated, Size(*low.shape[2:]))
        return self.low_classifier(low) + self.high_classifier(fine)


class LRASPP(SemanticModel):
    """MobileNetV3-Large dilated to stride 16, and a head that joins its maps of stride 8 and 16.

    Args:
        taxonomy: what the outputs mean.
        backbone: gives both maps.
        channels: of the gated convolution; 128 in the published networks.
        in_channels: channels the network reads, the same as the backbone's.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        backbone: TorchvisionEncoder,
        *,
        channels: int = 128,
        in_channels: int = 3,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.backbone = backbone
        self.strides = backbone.strides
        self.coarsest_stride = backbone.strides[-1]
        low_channels, high_channels = backbone.channels
        self.classifier = LRASPPHead(low_channels, high_channels, len(taxonomy), channels=channels)

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits of the pixels' size; any size from 1 x 1 works."""
        low, high = self.backbone(pixels)
        scores = self.classifier(low, high)
        return SemanticOutputs(resize_logits(scores, Size(*pixels.shape[2:])))

    def load_public(self, tensors: Mapping[str, Tensor], *, source: str) -> None:
        """Begin from a state dict of torchvision's network.

        Where it scores another number of categories, the layers that give scores stay as they are.

        Args:
            tensors: by torchvision's names.
            source: says in errors where the tensors come from.

        Raises:
            CheckpointError: when a tensor is missing or of another shape.
        """
        kept = ["mean", "std"]
        scores = tensors.get("classifier.low_classifier.bias")
        if scores is not None and len(scores) != len(self.taxonomy):
            kept += ["classifier.low_classifier.", "classifier.high_classifier."]
        load_by_name(self, tensors, source=source, kept=kept)


def build_lraspp(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    channels: Count = 128,
    weights: Path | Literal["download"] | None = None,
    encoder_weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> LRASPP:
    """Build LR-ASPP over MobileNetV3-Large.

    `weights` are those of the whole network: a file, or "download" for torchvision's (COCO images,
    VOC's 21 categories; with other categories all but the score layers are taken).
    `encoder_weights` are the backbone's, of ImageNet.
    """
    backbone = TorchvisionEncoder(
        "mobilenet_v3_large", in_channels=in_channels, weights=encoder_weights
    )
    model = LRASPP(
        taxonomy, backbone, channels=channels, in_channels=in_channels, mean=mean, std=std
    )
    if weights is not None:
        model.load_public(read_torchvision(PUBLIC, weights), source=f"lraspp weights ({weights})")
    return model
