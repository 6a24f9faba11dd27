"""How well superpixels keep to the truth, how round they are and how even in colour.

Stutz, Hermans and Leibe 2018, "Superpixels: an evaluation of the state of the art"
(doi:10.1016/j.cviu.2017.03.007), section 5, where the papers of the single scores are named:
boundary recall, undersegmentation error after Neubert and Protzel 2012 (each superpixel counts the
smaller of its parts in and out of a region) or after Levinshtein et al. 2009 (each counts all that
leaks), achievable segmentation accuracy, compactness, explained variation.

Over annotators, for an image: the worst, as the benchmark of Stutz et al. does, or the mean. Over
images: the mean.

Differences from the paper: Levinshtein's error is averaged over the regions of a truth. Compactness
takes the length of the cracks around a superpixel, the image's rim included, for its perimeter, so
that a square has pi / 4 at any size; a superpixel of several pieces is judged as one.
Complexity: O(pixels) for each annotator.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int32, Shaped
from numpy import ndarray
from scipy import ndimage
from torch import Tensor

from segscape.metrics.partition_regions import overlaps
from segscape.metrics.truths import refuse_other_sizes
from segscape.structures import Partition, StructureError

Annotators = Literal["worst", "mean"]


@dataclass(frozen=True)
class SuperpixelScores:
    """Scores of superpixels.

    Args:
        boundary_recall: share of true boundary pixels near a superpixel's boundary, in [0, 1]; 1
            where a truth has no boundary.
        undersegmentation_error: of Neubert and Protzel, 0 or more; lower is better.
        undersegmentation_error_levin: of Levinshtein et al., 0 or more; lower is better.
        achievable_segmentation_accuracy: share of pixels right if each superpixel got its most
            frequent true region, in [0, 1].
        compactness: how like discs the superpixels are, in [0, 1].
        explained_variation: share of the colours' variance that is between the superpixels, in
            [0, 1]; 1 for a constant image.
        count: superpixels of an image, on average.
    """

    boundary_recall: float
    undersegmentation_error: float
    undersegmentation_error_levin: float
    achievable_segmentation_accuracy: float
    compactness: float
    explained_variation: float
    count: float


class SuperpixelQuality:
    """Scores of single images under their keys.

    Args:
        reach: how far from a true boundary pixel a superpixel's boundary may be, as a share of the
            image's diagonal, rounded to whole pixels in rows and columns; 0 or more.

    Raises:
        StructureError: for a negative reach.

    >>> import torch
    >>> metric = SuperpixelQuality()
    >>> truth = Partition(torch.tensor([[0, 0, 1, 1]]))
    >>> image = torch.tensor([[[0, 0, 255, 255]]], dtype=torch.uint8)
    >>> metric.update(Partition(torch.tensor([[0, 1, 2, 2]])), [truth], image, "100075")
    >>> metric.compute().achievable_segmentation_accuracy
    1.0
    """

    def __init__(self, *, reach: float = 0.0025) -> None:
        if not reach >= 0:
            raise StructureError(f"SuperpixelQuality: reach {reach} is negative: give 0 or more")
        self.reach = reach
        # Of each image: of each truth the first four scores; compactness, variation, count.
        self._images: dict[str, tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]] = {}

    def update(
        self,
        partition: Partition,
        truths: Sequence[Partition],
        image: Shaped[Tensor, "channel height width"],
        key: str,
    ) -> None:
        """Judge the superpixels of one image.

        Args:
            partition: the superpixels.
            truths: the regions of each annotator, at least one.
            image: the colours, of the same size; any channels.
            key: names the image within its data set.

        Raises:
            StructureError: without truths, when sizes differ, for an image that is not finite, or
                when another result was already counted under this key.
        """
        refuse_other_sizes(partition, truths, key)
        if tuple(image.shape[1:]) != tuple(partition.size):
            raise StructureError(
                f"image '{key}' has {tuple(image.shape[1:])} pixels, its superpixels "
                f"{tuple(partition.size)}: give them one size"
            )
        if image.is_floating_point() and not bool(torch.isfinite(image).all()):
            raise StructureError(f"image '{key}' has values that are nan or infinite: fill them")
        of_truths = tuple(
            (
                boundary_recall(partition, truth, reach=self.reach),
                undersegmentation_error(partition, truth),
                undersegmentation_error_levin(partition, truth),
                achievable_segmentation_accuracy(partition, truth),
            )
            for truth in truths
        )
        own = (
            compactness(partition),
            explained_variation(partition, image),
            float(partition.count),
        )
        self._add(key, (of_truths, own))

    def merge(self, other: "SuperpixelQuality") -> None:
        """Count the images of another metric, too; `other` is left as it is.

        Raises:
            StructureError: when the reaches differ, or both judged an image differently.
        """
        if other.reach != self.reach:
            raise StructureError(
                f"SuperpixelQuality: reaches {self.reach} and {other.reach} cannot be merged"
            )
        for key, scores in other._images.items():  # noqa: SLF001 # its own class
            self._add(key, scores)

    @property
    def keys(self) -> tuple[str, ...]:
        """The images counted so far, sorted."""
        return tuple(sorted(self._images))

    def compute(self, *, annotators: Annotators = "worst") -> SuperpixelScores:
        """The means over all images counted so far.

        Args:
            annotators: which of an image's truths counts: "worst" for each score, or the "mean".

        Raises:
            StructureError: when no image was counted, or for annotators of another name.
        """
        if annotators not in ("worst", "mean"):
            raise StructureError(f"got annotators {annotators!r}, expected 'worst' or 'mean'")
        if not self._images:
            raise StructureError("SuperpixelQuality: no image was counted: call update first")
        rows: list[list[float]] = []
        for key in self.keys:
            of_truths, own = self._images[key]
            scores = np.array(of_truths)
            worst = [scores[:, 0].min(), *scores[:, 1:3].max(0), scores[:, 3].min()]
            rows.append([*(worst if annotators == "worst" else scores.mean(0)), *own])
        return SuperpixelScores(*np.array(rows).mean(0).tolist())

    def _add(
        self, key: str, scores: tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]
    ) -> None:
        if self._images.setdefault(key, scores) != scores:
            raise StructureError(
                f"SuperpixelQuality: image '{key}' was counted before with another result: "
                "give each image a key of its own and segment it once"
            )


def boundary_recall(partition: Partition, truth: Partition, *, reach: float = 0.0025) -> float:
    """The share of true boundary pixels that have a superpixel's boundary pixel near.

    A boundary pixel has another region above, below, left or right of it; near is in the square of
    2 r + 1 pixels around it.

    Args:
        partition: the superpixels.
        truth: the regions.
        reach: r as a share of the diagonal, rounded to whole pixels; 0 or more.

    >>> import torch
    >>> truth = Partition(torch.tensor([[0, 0, 1, 1, 1]]))
    >>> boundary_recall(Partition(torch.tensor([[0, 0, 0, 1, 1]])), truth)
    0.5
    """
    true = _on_boundary(_ids(truth))
    if not true.any():
        return 1.0
    radius = round(reach * math.hypot(*true.shape))
    near = ndimage.maximum_filter(_on_boundary(_ids(partition)), 2 * radius + 1, mode="constant")
    return float(near[true].mean())


def undersegmentation_error(partition: Partition, truth: Partition) -> float:
    r"""UE_NP = 1/N sum_G sum_{S meets G} min(|S n G|, |S \ G|) (Neubert and Protzel 2012).

    >>> import torch
    >>> truth = Partition(torch.tensor([[0, 0, 0, 1]]))
    >>> undersegmentation_error(Partition(torch.tensor([[0, 0, 1, 1]])), truth)
    0.5
    """
    _, ours, shared = overlaps(partition, truth).T
    size = np.bincount(ours, shared)
    return float(np.minimum(shared, size[ours] - shared).sum() / shared.sum())


def undersegmentation_error_levin(partition: Partition, truth: Partition) -> float:
    """UE = mean over G of (sum_{S meets G} |S| - |G|) / |G| (Levinshtein et al. 2009).

    >>> import torch
    >>> truth = Partition(torch.tensor([[0, 0, 0, 1]]))
    >>> undersegmentation_error_levin(Partition(torch.tensor([[0, 0, 1, 1]])), truth)
    0.6666666666666666
    """
    true, ours, shared = overlaps(partition, truth).T
    size_of_ours, size_of_true = np.bincount(ours, shared), np.bincount(true, shared)
    return float((np.bincount(true, size_of_ours[ours]) / size_of_true - 1).mean())


def achievable_segmentation_accuracy(partition: Partition, truth: Partition) -> float:
    """ASA = 1/N sum_S max_G |S n G| (Liu et al. 2011, doi:10.1109/CVPR.2011.5995323).

    >>> import torch
    >>> truth = Partition(torch.tensor([[0, 0, 0, 1]]))
    >>> achievable_segmentation_accuracy(Partition(torch.tensor([[0, 0, 1, 1]])), truth)
    0.75
    """
    _, ours, shared = overlaps(partition, truth).T
    most = np.zeros(partition.count, np.int64)
    np.maximum.at(most, ours, shared)
    return float(most.sum() / shared.sum())


def compactness(partition: Partition) -> float:
    """CO = 1/N sum_S |S| 4 pi |S| / P(S)^2, P the length of the cracks around S (Schick 2012).

    >>> import torch
    >>> compactness(Partition(torch.zeros(3, 3, dtype=torch.int64))) * 4 / math.pi
    1.0
    """
    ids = _ids(partition)
    framed = np.pad(ids, 1, constant_values=-1)
    perimeter = np.zeros(partition.count, np.int64)
    for axis in (0, 1):
        ahead = np.moveaxis(framed, axis, 0)
        change = ahead[1:] != ahead[:-1]
        for side in (ahead[1:][change], ahead[:-1][change]):
            perimeter += np.bincount(side[side >= 0], minlength=partition.count)
    area = np.bincount(ids.ravel(), minlength=partition.count)
    return float((area * (4 * np.pi * area / perimeter**2)).sum() / area.sum())


def explained_variation(
    partition: Partition, image: Shaped[Tensor, "channel height width"]
) -> float:
    """EV = sum_S |S| |mu_S - mu|^2 / sum |I - mu|^2 (Moore et al. 2008).

    Args:
        partition: the superpixels.
        image: the colours; 1 where they are all the same.

    >>> import torch
    >>> image = torch.tensor([[[0.0, 2.0, 4.0, 6.0]]])
    >>> explained_variation(Partition(torch.tensor([[0, 0, 1, 1]])), image)
    0.8
    """
    pixels = image.detach().cpu().numpy().reshape(image.shape[0], -1)
    ids = _ids(partition).ravel()
    area = np.bincount(ids, minlength=partition.count)
    between, total = 0.0, 0.0
    for channel in pixels:
        centred = channel.astype(np.float64)
        centred -= centred.mean()
        sums: Float64[ndarray, " region"] = np.bincount(ids, centred, minlength=partition.count)
        between += float((sums**2 / area).sum())
        total += float((centred**2).sum())
    return between / total if total > 0 else 1.0


def _ids(partition: Partition) -> Int32[ndarray, "height width"]:
    return partition.regions.cpu().numpy().astype(np.int32)


def _on_boundary(ids: Int32[ndarray, "height width"]) -> Bool[ndarray, "height width"]:
    edges = np.zeros(ids.shape, np.bool_)
    for axis in (0, 1):
        ahead, marked = np.moveaxis(ids, axis, 0), np.moveaxis(edges, axis, 0)
        change = ahead[1:] != ahead[:-1]
        marked[1:] |= change
        marked[:-1] |= change
    return edges
