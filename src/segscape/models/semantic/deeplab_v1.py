"""DeepLab-LargeFOV, the first DeepLab: VGG16 at stride 8 with an atrous classifier.

L.-C. Chen, G. Papandreou, I. Kokkinos, K. Murphy, A. Yuille: Semantic Image Segmentation with Deep
Convolutional Nets and Fully Connected CRFs, ICLR 2015, arXiv:1412.7062.

Differences from the paper:

- The fully connected CRF is not part of the network: it refines scores after it, as the Refiner
  `classical/dense_crf.py` with the setting deeplab_v1_vgg16. In the paper: 10 iterations; a
  smoothness kernel of weight 3 and 3 pixels; an appearance kernel of weight 5 to 10, 50 to 100
  pixels and 3 to 10 levels of colour in 0..255, searched on validation images, as `segscape tune`
  does. The defaults of the released program are the setting krahenbuhl_2011.
- Logits are enlarged to the labels' size in training too; the paper shrinks the labels eight times
  (sec. 3.2), which loses thin things (DeepLabv3, arXiv:1706.05587, sec. 4.1).
- Input: the released code feeds blue, green, red in 0..255 minus their mean; here red, green, blue
  are normalised as for the public torchvision weights.
- Only the convolutions begin from public weights; fc6 and fc7 begin random.

Where the paper and the released code disagree: the paper speaks of skipping the subsampling after
the last two poolings, the code replaces all poolings of 2 x 2 by 3 x 3 with padding and adds an
average over 3 x 3 behind the last. This is the code's network, of 20.5 million parameters.
"""

from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from segscape.encoders.vgg import AtrousVGG16
from segscape.layers.large_field_of_view import LargeFieldOfView
from segscape.models.options import Count, Fraction, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.ops.grid import read_grid
from segscape.structures import Size, Taxonomy

STRIDE = 8
# Table 1: a kernel of 3 x 3 at rate 12 sees as much as VGG16's 7 x 7 at rate 4, with a sixth of
# the parameters.
RATE = 12


class DeepLabLargeFOV(SemanticModel):
    """VGG16 whose last two poolings keep the resolution, and its classifier slid over the image.

    Args:
        taxonomy: what the outputs mean.
        in_channels: channels the network reads.
        rate: distance of fc6's taps, in pixels of the map of stride 8.
        hidden_channels: of fc6 and fc7.
        dropout: chance of dropping an activation after fc6 and fc7, in [0, 1).
        weights: public vgg16 weights: a file, or "download"; None begins random.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.

    Raises:
        CheckpointError: when the weights do not fit or cannot be fetched.
    """

    strides = (STRIDE,)

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        in_channels: int = 3,
        rate: int = RATE,
        hidden_channels: int = 1024,
        dropout: float = 0.5,
        weights: Path | Literal["download"] | None = None,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.trunk = AtrousVGG16(in_channels=in_channels, weights=weights)
        self.classifier = LargeFieldOfView(
            self.trunk.channels[-1],
            len(taxonomy),
            rate=rate,
            channels=hidden_channels,
            dropout=dropout,
        )

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits of the pixels' size; any size from 1 x 1 works."""
        scores = self.classifier(self.trunk(pixels)[-1])
        # Score i lies over pixel 8 i.
        return SemanticOutputs(read_grid(scores.float(), Size(*pixels.shape[2:]), step=1 / STRIDE))


def build_deeplab_largefov(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    rate: Count = RATE,
    hidden_channels: Count = 1024,
    dropout: Fraction = 0.5,
    weights: Path | Literal["download"] | None = None,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> DeepLabLargeFOV:
    """Build DeepLab-LargeFOV; `weights` are public vgg16 weights: a file, or "download"."""
    return DeepLabLargeFOV(
        taxonomy,
        in_channels=in_channels,
        rate=rate,
        hidden_channels=hidden_channels,
        dropout=dropout,
        weights=weights,
        mean=mean,
        std=std,
    )
