"""An image parted into k labels whose boundaries are short and follow its edges.

Boykov, Veksler and Zabih 2001, "Fast approximate energy minimization via graph cuts"
(doi:10.1109/34.969114), with boundaries after Boykov and Jolly 2001 (doi:10.1109/ICCV.2001.937505):
what k-means parts by colour alone, or what strokes of many labels show, is found as the labels of
least energy. A label costs what its colours say, in nats; two labels side by side cost
smoothness x exp(-sharpness |z_p - z_q|^2) / |p - q|.

Differences from the papers: none offers this very method. The colours of a label are a round
Gaussian around a center of k-means, of one variance for all, or, from strokes, a mixture as in
GrabCut (doi:10.1145/1015706.1015720); the sharpness is GrabCut's. How the energy is lowered:
`classical/alpha_expansion.py`.

Complexity: that of k-means, or of the mixtures, and of alpha-expansion.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Integer, Shaped, UInt8
from numpy import ndarray
from torch import Tensor

from segscape.classical.alpha_expansion import alpha_expansion
from segscape.classical.label_costs import (
    UNMARKED,
    costs_of_clusters,
    costs_of_marked,
    labels_of_marks,
)
from segscape.classical.label_energy import (
    GRID_OFFSETS,
    LabelEnergy,
    potts_costs,
    refuse_large_energy,
)
from segscape.classical.pixels import luv_pixels
from segscape.ops.contrast import boundary_costs
from segscape.structures import MethodError, Partition


@dataclass(frozen=True)
class MultiLabelCut:
    """An image in k labels.

    Args:
        partition: the labels that are used, renumbered.
        labels: 0..k-1: the clusters of k-means, or those of the marks.
        energies: before the first move, where each pixel has the label of its colour alone, then
            after each move, in nats; they never rise.
        cycles: how often all labels were tried.
        converged: whether the last cycle changed nothing.
    """

    partition: Partition
    labels: Integer[Tensor, "height width"]
    energies: tuple[float, ...]
    cycles: int
    converged: bool


def multi_label_cut(
    image: Shaped[Tensor, "channel height width"],
    *,
    clusters: int = 8,
    marks: UInt8[Tensor, "height width"] | None = None,
    smoothness: float = 5.0,
    truncation: float | None = None,
    neighbors: Literal[4, 8] = 8,
    cycles: int = 10,
    seed: int = 0,
) -> MultiLabelCut:
    """Part an image into clusters of like colour, or as marks show, with smooth boundaries.

    Args:
        image: 8-bit, 16-bit or float, of any number of channels.
        clusters: k, the number of labels, 1 or more, and no more than there are distinct pixels;
            fewer may be left in the end; not used with marks.
        marks: strokes of labels 0..k-1, each used at least once, and 255 where nothing is marked;
            marked pixels keep their label.
        smoothness: what a pixel's length of boundary costs where the image is flat, in nats, 0 or
            more; 0 leaves the label of least cost at each pixel.
        truncation: None: any two labels cost the same side by side. Otherwise they cost in
            proportion to the distance of their mean colours, 1 for the mean distance, and
            truncation at most; above 0.
        neighbors: of a pixel, 4 or 8; with 8 slanting boundaries cost little more than straight
            ones.
        cycles: how often all labels are tried at most, 1 or more; a few suffice.
        seed: of k-means, or of the pixels from which mixtures start.

    Raises:
        MethodError: for options out of range, values that are not finite, more clusters than
            distinct pixels, marks of another size, without any mark or with a label left out, or
            an image too large for the memory.
    """
    if not (smoothness >= 0 and np.isfinite(smoothness)):
        raise MethodError(f"multi_label_cut got smoothness={smoothness}, expected 0 or more")
    if truncation is not None and not (truncation > 0 and np.isfinite(truncation)):
        raise MethodError(f"multi_label_cut got truncation={truncation}, expected above 0")
    if neighbors not in GRID_OFFSETS:
        raise MethodError(f"multi_label_cut got neighbors={neighbors}, expected 4 or 8")
    pixels = luv_pixels(image, "multi_label_cut").numpy()
    if marks is None:
        refuse_large_energy(clusters, pixels[0].size, neighbors * pixels[0].size)
        unary, centers = costs_of_clusters(image, pixels, clusters, seed)
        known = None
    else:
        known = labels_of_marks(marks, pixels.shape[1:], "multi_label_cut")
        count = int(known[known != UNMARKED].max()) + 1
        refuse_large_energy(count, known.size, neighbors * known.size)
        unary, centers = costs_of_marked(pixels, known, seed)
    weights = boundary_costs(pixels, offsets=GRID_OFFSETS[neighbors])
    weights *= np.float32(smoothness)
    costs = _label_costs(centers, truncation)
    if known is not None:
        _fix_marked(unary, known, float(weights.sum(axis=0).max() * costs.max()))
    energy = LabelEnergy.on_grid(
        torch.from_numpy(unary),
        weights=torch.from_numpy(weights),
        costs=torch.from_numpy(costs),
        neighbors=neighbors,
    )
    found = alpha_expansion(energy, cycles=cycles)
    return MultiLabelCut(
        partition=Partition.from_ids(found.labels),
        labels=found.labels,
        energies=found.energies,
        cycles=found.cycles,
        converged=found.converged,
    )


def _fix_marked(
    unary: Float32[ndarray, "label height width"],
    known: UInt8[ndarray, "height width"],
    most: float,
) -> None:
    """Give marked pixels costs that no boundary outweighs: Boykov and Jolly's K, in place."""
    unary[:, known != UNMARKED] = 1 + 2 * most
    for label, own in enumerate(unary):
        own[known == label] = 0


def _label_costs(
    centers: Float32[ndarray, "label channel"], truncation: float | None
) -> Float32[ndarray, "label label"]:
    labels = len(centers)
    if truncation is None or labels == 1:
        return potts_costs(labels).numpy()
    wide = centers.astype(np.float64)
    distance = np.sqrt(((wide[:, None] - wide) ** 2).sum(axis=2))
    mean = distance.sum() / (labels * (labels - 1))
    if mean == 0:
        return potts_costs(labels).numpy()
    return np.minimum(distance / mean, truncation).astype(np.float32)
