"""The sliding window: a network that classifies one pixel from the square around it.

D. Ciresan, A. Giusti, L. Gambardella, J. Schmidhuber: Deep Neural Networks Segment Neuronal
Membranes in Electron Microscopy Images, NIPS 2012. The dense form follows A. Giusti, D. Ciresan,
J. Masci, L. Gambardella, J. Schmidhuber: Fast Image Scanning with Deep Max-Pooling Convolutional
Neural Networks, ICIP 2013, arXiv:1302.1700.

Neighbouring windows share almost all of their pixels, so that a network run window by window
computes nearly everything `window` x `window` times. `score` computes everything once: what a
pooling of stride 2 would throw away is needed by the window one pixel further on, so the pooling
visits every place and all layers behind it read every second one. Both forms share their weights
and give the same numbers.

Differences from the paper: one network, N4, where the paper averages four; its windows are plain,
without the blur and the coarser sampling away from their centres (sec. 2.2), and its scores are
not calibrated by a fitted polynomial (sec. 2.4). The paper names no activation function: here ReLU.
It trains on single windows, as many of membranes as of cells; the dense form learns from all pixels
of an image at once, and the loss balances the categories. The dense form of Giusti et al. keeps
the places of a pooling as separate fragments; here they stay interleaved in one map, which dilated
convolutions read.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.layers.mirror import mirrored_tiles
from segscape.models.options import Count, PerChannel
from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.structures import ImageBatch, RecipeError, Taxonomy

# Table 1: a window of 95 pixels becomes 92, 46, 42, 21, 18, 9, 6 and 3.
KERNELS = (4, 5, 4, 4)
WINDOW = 95


class SlidingWindow(SemanticModel):
    """Four convolutions, each pooled, and two fully connected layers over a window (table 1).

    Args:
        taxonomy: what the outputs mean.
        window: side of the square around a pixel: 63, 79, 95 (the paper's) and so on by 16.
        in_channels: channels the network reads; the paper's microscopy images have one.
        channels: of each convolution; 48 in the paper.
        hidden_channels: of the first fully connected layer; 200 in the paper.
        mean: per channel, of images in [0, 1]; None for ImageNet's.
        std: likewise.

    Raises:
        RecipeError: for a window that the poolings do not halve evenly.
    """

    strides = (1,)

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        window: int = WINDOW,
        in_channels: int = 1,
        channels: int = 48,
        hidden_channels: int = 200,
        mean: PerChannel = None,
        std: PerChannel = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)
        self.window, self.last_side = window, side_after_poolings(window)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels if level else in_channels, channels, kernel)
            for level, kernel in enumerate(KERNELS)
        )
        self.hidden = nn.Linear(channels * self.last_side**2, hidden_channels)
        self.classifier = nn.Linear(hidden_channels, len(taxonomy))
        for layer in (*self.convolutions, self.hidden):
            nn.init.kaiming_normal_(layer.get_parameter("weight"), nonlinearity="relu")
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, images: ImageBatch) -> SemanticOutputs:
        """Compute logits of the batch's size by mirroring each image at its own border."""
        return self.score(self.tiles(images))

    def tiles(self, images: ImageBatch) -> Float[Tensor, "batch channel _ _"]:
        """Normalise images and mirror them so that every pixel has a whole window around it."""
        height, width = images.pixels.shape[2:]
        return mirrored_tiles(
            self.normalize(images.pixels),
            images.sizes,
            margin=self.window // 2,
            tile=(height + self.window - 1, width + self.window - 1),
        )

    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute the logits of all windows that lie inside, in one pass over the image."""
        x = pixels
        distance = 1  # pixels between neighbours of one window's map
        for convolution in self.convolutions:
            weight, bias = convolution.get_parameter("weight"), convolution.get_parameter("bias")
            x = F.relu(F.conv2d(x, weight, bias, dilation=distance), inplace=True)
            x = pool_everywhere(x, distance)
            distance *= 2
        # A fully connected layer over a map is a convolution with a kernel of the map's size.
        kernel = self.hidden.weight.unflatten(1, (-1, self.last_side, self.last_side))
        x = F.relu(F.conv2d(x, kernel, self.hidden.bias, dilation=distance), inplace=True)
        return SemanticOutputs(
            F.conv2d(x, self.classifier.weight[:, :, None, None], self.classifier.bias)
        )

    def score_window(
        self, windows: Float[Tensor, "window channel {self.window} {self.window}"]
    ) -> Float[Tensor, "window category"]:
        """Compute the logits of the pixels in the middle of windows, as table 1 says."""
        x = windows
        for convolution in self.convolutions:
            x = F.max_pool2d(F.relu(convolution(x), inplace=True), 2)
        return self.classifier(F.relu(self.hidden(x.flatten(1))))

    def score_window_by_window(
        self, pixels: Float[Tensor, "batch channel height width"], *, at_once: int = 32
    ) -> SemanticOutputs:
        """Compute what `score` does, the slow way: cut out every window and classify it.

        Args:
            pixels: as for `score`.
            at_once: how many windows are classified together.
        """
        windows = pixels.unfold(2, self.window, 1).unfold(3, self.window, 1)
        batch, _, height, width = windows.shape[:4]
        places = torch.cartesian_prod(*(torch.arange(side) for side in (batch, height, width)))
        scores = [
            self.score_window(windows[image, :, row, column])
            for image, row, column in (chunk.unbind(1) for chunk in places.split(at_once))
        ]
        logits = torch.cat(scores).unflatten(0, (batch, height, width))
        return SemanticOutputs(logits.permute(0, 3, 1, 2))


def pool_everywhere(
    x: Float[Tensor, "batch channel height width"], distance: int
) -> Float[Tensor, "batch channel height-{distance} width-{distance}"]:
    """Take the largest of 2 x 2 values `distance` apart, at every place.

    >>> pool_everywhere(torch.tensor([[[[5.0, 1.0, 4.0, 2.0]] * 3]]), 2).tolist()
    [[[[5.0, 2.0]]]]
    """
    # Several times faster on a CPU than a dilated max_pool2d of stride 1.
    x = torch.maximum(x[:, :, distance:], x[:, :, :-distance])
    return torch.maximum(x[:, :, :, distance:], x[:, :, :, :-distance])


def side_after_poolings(window: int) -> int:
    """Walk table 1 down from a window's side.

    Raises:
        RecipeError: when a pooling would drop pixels, or nothing would be left.

    >>> side_after_poolings(95), side_after_poolings(63)
    (3, 1)
    """
    side = window
    for kernel in KERNELS:
        side -= kernel - 1
        if side % 2 or side < 2:
            raise RecipeError(
                f"sliding_window: a window of {window} pixels is not halved evenly by its "
                f"{len(KERNELS)} poolings: choose 63, 79, 95 and so on by 16"
            )
        side //= 2
    return side


def build_sliding_window(
    taxonomy: Taxonomy,
    *,
    in_channels: Count = 3,
    window: Count = WINDOW,
    channels: Count = 48,
    hidden_channels: Count = 200,
    mean: PerChannel = None,
    std: PerChannel = None,
) -> SlidingWindow:
    """Build the network; a smaller `window` (63 or 79) is faster and sees less."""
    return SlidingWindow(
        taxonomy,
        window=window,
        in_channels=in_channels,
        channels=channels,
        hidden_channels=hidden_channels,
        mean=mean,
        std=std,
    )
