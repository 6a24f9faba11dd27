"""Regions and boundaries of partitions against several truths, and the best of many settings.

Arbelaez, Maire, Fowlkes and Malik 2011 (doi:10.1109/TPAMI.2010.161), section 2.3: a method with an
option is scored at the optimal data set scale (ODS), the one setting that is best over all images;
at the optimal image scale (OIS), the best setting of each image; and, for covering, with the best
region of any setting for each true region (Best).

Differences from the paper: the benchmark's code draws a line between neighbouring thresholds of a
contour map and may place its optimum there; settings of a method lie on no line, so ODS here is
always one of the settings. OIS picks each image's setting for each score on its own, by the image's
covering, Rand index, variation of information or F; counts are then pooled over the images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from segscape.metrics.partition_boundaries import (
    BoundaryAgreement,
    BoundaryScores,
    boundary_scores,
)
from segscape.metrics.partition_regions import RegionAgreement, RegionScores, covering
from segscape.structures import Partition, StructureError


@dataclass(frozen=True)
class PartitionScores:
    """What one setting of a method reaches.

    Args:
        regions: covering, probabilistic Rand index, variation of information.
        boundaries: precision, recall and F.
    """

    regions: RegionScores
    boundaries: BoundaryScores


class PartitionAgreement:
    """Regions and boundaries against all truths, kept per image.

    Args:
        tolerance: how far a boundary pixel may be off, as a share of the image's diagonal, 0 or
            more.

    Raises:
        StructureError: for a negative tolerance.

    >>> import torch
    >>> metric = PartitionAgreement()
    >>> truth = Partition(torch.tensor([[0, 0, 1, 1]]))
    >>> metric.update(truth, [truth, truth], "100075")
    >>> metric.compute().regions.covering
    1.0
    """

    def __init__(self, *, tolerance: float = 0.0075) -> None:
        self.regions = RegionAgreement()
        self.boundaries = BoundaryAgreement(tolerance=tolerance)

    def update(self, partition: Partition, truths: Sequence[Partition], key: str) -> None:
        """Count one image.

        Args:
            partition: the regions found.
            truths: those of each annotator, at least one.
            key: names the image within its data set.

        Raises:
            StructureError: without truths, when sizes differ, or when another result was already
                counted under this key.
        """
        self.regions.update(partition, truths, key)
        self.boundaries.update(partition, truths, key)

    def merge(self, other: "PartitionAgreement") -> None:
        """Count the images of another metric, too; `other` is left as it is.

        Raises:
            StructureError: when the tolerances differ, or both counted an image differently.
        """
        self.boundaries.merge(other.boundaries)
        self.regions.merge(other.regions)

    @property
    def keys(self) -> tuple[str, ...]:
        """The images counted so far, sorted."""
        return self.regions.keys

    def compute(self) -> PartitionScores:
        """The scores over all images counted so far.

        Raises:
            StructureError: when no image was counted.
        """
        return PartitionScores(self.regions.compute(), self.boundaries.compute())


@dataclass(frozen=True)
class FamilyScores:
    """What a family of settings reaches: at its best setting, and with the best for each image.

    Args:
        covering_ods: covering of the best setting.
        covering_ois: with each image's best setting.
        covering_best: with the best region of any setting for each true region.
        rand_index_ods: probabilistic Rand index of the best setting.
        rand_index_ois: with each image's best setting.
        variation_of_information_ods: of the best setting, in bits.
        variation_of_information_ois: with each image's best setting, in bits.
        boundaries_ods: precision, recall and F of the setting of the best F.
        boundaries_ois: with each image's best setting.
        best_settings: the names of the ODS settings: of covering, rand_index,
            variation_of_information and boundaries.
    """

    covering_ods: float
    covering_ois: float
    covering_best: float
    rand_index_ods: float
    rand_index_ois: float
    variation_of_information_ods: float
    variation_of_information_ois: float
    boundaries_ods: BoundaryScores
    boundaries_ois: BoundaryScores
    best_settings: dict[str, str]


def best_over_settings(settings: Mapping[str, PartitionAgreement]) -> FamilyScores:
    """Score a method with an option: ODS, OIS and Best.

    Args:
        settings: by a name of each setting, what was counted with it; the same images with each.

    Raises:
        StructureError: without settings or images, or when settings have counted other images.
    """
    if not settings:
        raise StructureError("best_over_settings got no setting: give one at least")
    keys = next(iter(settings.values())).keys
    for name, metric in settings.items():
        if metric.keys != keys:
            raise StructureError(
                f"setting '{name}' has counted {len(metric.keys)} images that are not the "
                f"{len(keys)} of the first: score each setting on the same images"
            )
    scores = {name: metric.compute() for name, metric in settings.items()}
    metrics = list(settings.values())
    images = [[metric.regions.image(key) for metric in metrics] for key in keys]

    def ods(value: Callable[[PartitionScores], float]) -> str:
        return max(scores, key=lambda name: value(scores[name]))

    best = {
        "covering": ods(lambda score: score.regions.covering),
        "rand_index": ods(lambda score: score.regions.rand_index),
        "variation_of_information": ods(lambda score: -score.regions.variation_of_information),
        "boundaries": ods(lambda score: score.boundaries.f),
    }
    return FamilyScores(
        covering_ods=scores[best["covering"]].regions.covering,
        covering_ois=covering(
            np.concatenate(
                [max((m.regions.regions(key) for m in metrics), key=covering) for key in keys]
            )
        ),
        covering_best=covering(
            np.concatenate(
                [_best_regions([m.regions.regions(key) for m in metrics]) for key in keys]
            )
        ),
        rand_index_ods=scores[best["rand_index"]].regions.rand_index,
        rand_index_ois=float(np.mean([max(s.rand_index for s in image) for image in images])),
        variation_of_information_ods=scores[
            best["variation_of_information"]
        ].regions.variation_of_information,
        variation_of_information_ois=float(
            np.mean([min(s.variation_of_information for s in image) for image in images])
        ),
        boundaries_ods=scores[best["boundaries"]].boundaries,
        boundaries_ois=boundary_scores(
            np.sum(
                [max((m.boundaries.counts(key) for m in metrics), key=_f) for key in keys],
                axis=0,
            )
        ),
        best_settings=best,
    )


def _best_regions(settings: Sequence[Int64[ndarray, "region 3"]]) -> Int64[ndarray, "region 3"]:
    """Of each true region the overlap of the setting that meets it best."""
    stacked = np.stack(settings)
    best = (stacked[:, :, 1] / stacked[:, :, 2]).argmax(0)
    return stacked[best, np.arange(stacked.shape[1])]


def _f(counts: Int64[ndarray, "4"]) -> float:
    return boundary_scores(counts).f
