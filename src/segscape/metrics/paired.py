"""Whether one run is better than another on the same images.

The images are the units: differences are taken image by image, so that what is hard in an image is
hard for both runs. Efron 1979 (doi:10.1214/aos/1176344552) for the interval, Wilcoxon 1945
(doi:10.2307/3001968) and Fisher's sign flips (1935) for the tests.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from scipy import stats

from segscape.metrics import ratios
from segscape.metrics.bootstrap import Interval, image_draws, interval_of
from segscape.metrics.scores import ImageCounts, SegmentationScores
from segscape.structures.errors import StructureError


@dataclass(frozen=True)
class PairedComparison:
    """The second run against the first; differences above 0 speak for the second.

    Args:
        miou: of the data set, first and second.
        difference: second minus first.
        interval: what `difference` keeps to when images are drawn anew, the same for both runs.
        level: share of the draws inside the interval.
        image_differences: of each image's mean IoU, by key; images that are all void are left out.
        mean_image_difference: their mean.
        wilcoxon: p-value of the signed ranks of the image differences, two-sided.
        sign_flips: p-value of their mean among those with signs flipped at random, two-sided; exact
            where all flips can be tried.
    """

    miou: tuple[float, float]
    difference: float
    interval: Interval
    level: float
    image_differences: dict[str, float]
    mean_image_difference: float
    wilcoxon: float
    sign_flips: float


def compare(
    first: SegmentationScores,
    second: SegmentationScores,
    *,
    samples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> PairedComparison:
    """Compare two runs on the same images.

    The p-values say how likely differences as large are between equal runs on images like these,
    not how another training would come out. Images that resemble each other, as the frames of one
    film, make interval and p-values too small.

    Args:
        first: scores of one run.
        second: scores of the other.
        samples: how many times images are drawn, and signs flipped, 1 or more.
        seed: same seed, same result.
        level: of the interval, in (0, 1).

    Raises:
        StructureError: when the runs did not judge the same pixels of the same images, or an option
            is out of its range.
    """
    if samples < 1 or not 0 < level < 1:
        raise StructureError(
            f"compare got samples={samples}, level={level}: give 1 or more, and between 0 and 1"
        )
    _refuse_other_images(first.image_counts, second.image_counts)
    absent = first.absent_rule
    runs = [_counts(first.image_counts), _counts(second.image_counts)]
    draws: list[Float64[ndarray, " draw"]] = []
    for times in image_draws(runs[0].shape[1], samples, seed):
        one, two = (
            ratios.mean_over_categories(ratios.iou(*(times @ part for part in run)), absent)
            for run in runs
        )
        draws.append(two - one)
    miou = [float(ratios.mean_over_categories(ratios.iou(*run.sum(1)), absent)) for run in runs]
    one, two = (ratios.mean_over_categories(ratios.iou(*run), absent) for run in runs)
    judged = ~np.isnan(one)
    differences = (two - one)[judged]
    keys = [key for key, kept in zip(first.image_counts.keys, judged, strict=True) if kept]
    return PairedComparison(
        miou=(miou[0], miou[1]),
        difference=miou[1] - miou[0],
        interval=interval_of(np.concatenate(draws), level),
        level=level,
        image_differences=dict(zip(keys, differences.tolist(), strict=True)),
        mean_image_difference=float(differences.mean()) if len(differences) else float("nan"),
        wilcoxon=_wilcoxon(differences),
        sign_flips=_sign_flips(differences, samples, seed),
    )


def _refuse_other_images(first: ImageCounts, second: ImageCounts) -> None:
    lonely = set(first.keys) ^ set(second.keys)
    if lonely:
        raise StructureError(
            f"compare: {len(lonely)} images were judged in one run only, as '{min(lonely)}': judge "
            "both on the same images"
        )
    if first.true.shape != second.true.shape:
        raise StructureError(
            f"compare: {first.true.shape[1]} categories in one run, {second.true.shape[1]} in the "
            "other: use one taxonomy"
        )
    differing = (first.true != second.true).any(1)
    if differing.any():
        key = first.keys[int(differing.argmax())]
        raise StructureError(
            f"compare: the truth of image '{key}' differs between the runs: judge both on the same "
            "data"
        )


def _counts(counts: ImageCounts) -> Float64[ndarray, "3 image category"]:
    # Sums of pixels below 2^53 are exact in float64, and far faster than in integers.
    return np.stack([counts.hits, counts.true, counts.predicted]).astype(np.float64)


def _wilcoxon(differences: Float64[ndarray, " image"]) -> float:
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def _sign_flips(differences: Float64[ndarray, " image"], samples: int, seed: int) -> float:
    if not differences.any():
        return 1.0
    if 2 ** len(differences) <= samples:
        bits = np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences)) & 1
        flipped = (1 - 2 * bits) @ differences
        extra = 0
    else:
        # One matrix of signs would be samples x images.
        generator = np.random.default_rng(seed)
        blocks = [
            (1 - 2 * generator.integers(0, 2, (min(1000, samples - i), len(differences))))
            @ differences
            for i in range(0, samples, 1000)
        ]
        flipped = np.concatenate(blocks)
        extra = 1  # the differences as they are, so that no p-value is 0
    as_large = np.abs(flipped) >= abs(differences.sum()) * (1 - 1e-12)
    return float((as_large.sum() + extra) / (len(flipped) + extra))
