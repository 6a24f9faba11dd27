"""An image parted into k labels by a dense CRF over what its colours cost.

P. Kraehenbuehl, V. Koltun: Efficient Inference in Fully Connected CRFs with Gaussian Edge
Potentials, NeurIPS 2011, arXiv:1210.5644, on clusters or strokes in place of a classifier's scores:
what k-means parts by colour alone, or what strokes of many labels show, is smoothed by a mean field
in which every pixel hears every other, the more so the nearer they are in place and colour.

Differences from the paper: its scores come from a trained classifier (`predict --refine crf` takes
a network's); here the colours of a label are a round Gaussian around a center of k-means, or, from
strokes, a mixture as in GrabCut (doi:10.1145/1015706.1015720). Beside `multi_label_cut.py`, which
lowers an energy of near neighbours on the same costs, boundaries keep fine detail and may leave
specks. pydensecrf has the inference, not the costs.

Complexity: that of k-means, or of the mixtures, and of `dense_crf.py`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64, Shaped, UInt8
from torch import Tensor

from segscape.classical.dense_crf import DenseCRF, positions
from segscape.classical.label_costs import (
    UNMARKED,
    costs_of_clusters,
    costs_of_marked,
    labels_of_marks,
)
from segscape.classical.mean_field import FeatureKernel, SpatialKernel, mean_field
from segscape.classical.pixels import luv_pixels, unit_pixels
from segscape.structures import Partition

_METHOD = "color_crf"
# What a marked pixel costs as another label: more than all messages together.
_FIXED = 1e3


@dataclass(frozen=True)
class ColorField:
    """An image in k labels.

    Args:
        partition: the labels that are used, renumbered.
        labels: the most probable one, 0..k-1: the clusters of k-means, or those of the marks.
        scores: the marginals, which sum to 1 at each pixel.
    """

    partition: Partition
    labels: Int64[Tensor, "height width"]
    scores: Float32[Tensor, "label height width"]


def color_crf(
    image: Shaped[Tensor, "channel height width"],
    *,
    clusters: int = 8,
    marks: UInt8[Tensor, "marked_height marked_width"] | None = None,
    smoothness_weight: float = 3.0,
    smoothness_px: float = 3.0,
    appearance_weight: float = 10.0,
    appearance_px: float = 60.0,
    appearance_color: float = 20.0,
    iterations: int = 10,
    seed: int = 0,
) -> ColorField:
    """Part an image into clusters of like colour, or as marks show, smoothed along its colours.

    The defaults are those of the paper's released program.

    Args:
        image: 8-bit, 16-bit or float, of any number of channels.
        clusters: k, the number of labels, 1 or more, and no more than there are distinct pixels;
            fewer may be left in the end; not used with marks.
        marks: strokes of labels 0..k-1, each used at least once, and 255 where nothing is marked;
            marked pixels keep their label.
        smoothness_weight: how much near pixels count, 0 or more.
        smoothness_px: how near these are, in pixels, above 0.
        appearance_weight: how much pixels of like colour count, 0 or more.
        appearance_px: how far away these may be, in pixels, above 0.
        appearance_color: how alike their colours are, in levels of 0..255, above 0.
        iterations: of the mean field, 0 or more; at 0 each pixel has the label of its own colour.
        seed: of k-means, or of the pixels from which mixtures start.

    Raises:
        MethodError: for options out of range, values that are not finite, more clusters than
            distinct pixels, marks of another size, without any mark or with a label left out, or
            an image too large for the memory.
    """
    options = DenseCRF(
        smoothness_weight,
        smoothness_px,
        appearance_weight,
        appearance_px,
        appearance_color,
        iterations,
    )
    pixels = luv_pixels(image, _METHOD).numpy()
    if marks is None:
        unary, _ = costs_of_clusters(image, pixels, clusters, seed)
    else:
        known = labels_of_marks(marks, pixels.shape[1:], _METHOD)
        unary, _ = costs_of_marked(pixels, known, seed)
        unary -= unary.min(axis=0)
        unary[:, known != UNMARKED] = _FIXED
        for label, own in enumerate(unary):
            own[known == label] = 0
    size = (image.shape[1], image.shape[2])
    places = positions(size, torch.device("cpu")) / options.appearance_px
    colors = 255 * unit_pixels(image, _METHOD) / options.appearance_color
    kernels = [
        FeatureKernel(options.appearance_weight, torch.cat([places, colors])),
        SpatialKernel(options.smoothness_weight, options.smoothness_px),
    ]
    field = mean_field(
        torch.from_numpy(np.ascontiguousarray(unary)), kernels, iterations=options.iterations
    )
    return ColorField(Partition.from_ids(field.labels), field.labels, field.scores)
