"""One segmenter against another on the same images: the difference, and whether it is chance.

Two intervals that overlap say little of a difference, since both move with the images: hard ones
are hard for both. Here the images are drawn for both at once (paired bootstrap, Efron 1979,
doi:10.1214/aos/1176344552), and the test asks how often so large a difference arises when each
image's two results are swapped by the toss of a coin (randomisation test, Fisher 1935; as for
translation systems by Riezler and Maxwell 2005, W05-0908).

A small p-value speaks of the images, not of the training: another seed is another segmenter. Images
that resemble each other, as the frames of one film, make interval and p-value too small.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from segscape.metrics import ratios
from segscape.metrics.bootstrap import FEWEST_IMAGES, Interval, drawn_images, quantile_interval
from segscape.metrics.scores import ImageCounts, SegmentationScores
from segscape.structures.errors import StructureError

_BLOCK = 8_000_000  # coins held at once: 64 MB


@dataclass(frozen=True)
class PairedDifference:
    """One segmenter's scores less the reference's, each in [-1, 1].

    Args:
        level: share of the draws inside the intervals, in (0, 1).
        miou: difference of the data set's mean IoU.
        miou_interval: what it keeps to when images are drawn anew; nan for fewer than five.
        p_value: chance of a mean IoU at least so far apart, in (0, 1], were each image's two
            results exchangeable.
        class_iou: difference of each category's IoU, nan where either is not defined.
        class_iou_intervals: what these keep to.
        images_won: images on which the segmenter has the higher mean IoU.
        images_lost: images on which the reference has.
    """

    level: float
    miou: float
    miou_interval: Interval
    p_value: float
    class_iou: tuple[float, ...]
    class_iou_intervals: tuple[Interval, ...]
    images_won: int
    images_lost: int

    def to_json(self) -> dict[str, Any]:
        """The numbers as a dict that `json` can write; nan becomes null."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def paired_difference(
    scores: SegmentationScores,
    reference: SegmentationScores,
    *,
    samples: int = 1000,
    swaps: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Compare two evaluations of the same images.

    Args:
        scores: of the segmenter.
        reference: of the one it is held against.
        samples: how many times images are drawn for the intervals, 1 or more.
        swaps: how many random exchanges the test tries, 1 or more.
        level: in (0, 1).
        seed: same seed, same numbers.

    Raises:
        StructureError: when the images, their truth or the rules differ, or an option is out of
            its range.
    """
    _refuse_others(scores, reference)
    if samples < 1 or swaps < 1:
        raise StructureError(f"paired_difference got samples={samples}, swaps={swaps}: give 1 up")
    if not 0 < level < 1:
        raise StructureError(f"paired_difference got level={level}: give one between 0 and 1")
    ours, theirs = _stacked(scores.image_counts), _stacked(reference.image_counts)
    absent = scores.absent_rule
    miou_draws, class_draws = _draws(ours, theirs, absent, samples, seed)
    one = _per_image(scores)
    other = _per_image(reference)
    iou, reference_iou = ratios.iou(*ours.sum(1)), ratios.iou(*theirs.sum(1))
    return PairedDifference(
        level=level,
        miou=scores.miou - reference.miou,
        miou_interval=quantile_interval(miou_draws, level),
        p_value=_p_value(ours, theirs, absent, swaps, seed),
        class_iou=tuple((iou - reference_iou).tolist()),
        class_iou_intervals=tuple(quantile_interval(draws, level) for draws in class_draws.T),
        images_won=int((one > other).sum()),
        images_lost=int((one < other).sum()),
    )


def _draws(
    ours: Float64[ndarray, "3 image category"],
    theirs: Float64[ndarray, "3 image category"],
    absent: ratios.Absent,
    samples: int,
    seed: int,
) -> tuple[Float64[ndarray, " draw"], Float64[ndarray, "draw category"]]:
    """Differences of the mean and of each category's IoU when images are drawn anew."""
    _, images, categories = ours.shape
    mious = [np.empty(0)]
    class_ious = [np.empty((0, categories))]
    for times in drawn_images(images, samples, seed) if images >= FEWEST_IMAGES else ():
        one, other = ratios.iou(*(times @ ours)), ratios.iou(*(times @ theirs))
        class_ious.append(one - other)
        mious.append(
            ratios.mean_over_categories(one, absent) - ratios.mean_over_categories(other, absent)
        )
    return np.concatenate(mious), np.concatenate(class_ious)


def _p_value(
    ours: Float64[ndarray, "3 image category"],
    theirs: Float64[ndarray, "3 image category"],
    absent: ratios.Absent,
    swaps: int,
    seed: int,
) -> float:
    """The share of random exchanges that part the two as far as they are, themselves counted."""

    def apart(
        one: Float64[ndarray, "3 *group category"], other: Float64[ndarray, "3 *group category"]
    ) -> Float64[ndarray, "*group"]:
        mious = [ratios.mean_over_categories(ratios.iou(*part), absent) for part in (one, other)]
        return np.asarray(np.abs(mious[0] - mious[1]))

    seen = float(apart(ours.sum(1), theirs.sum(1)))
    if isnan(seen):
        return seen
    as_far = 1
    for coins in _coins(ours.shape[1], swaps, seed):
        moved = coins @ (theirs - ours)
        exchanged = apart(ours.sum(1)[:, None] + moved, theirs.sum(1)[:, None] - moved)
        # A swap of images that both label alike changes nothing but the last digit.
        as_far += int((exchanged >= seen - 1e-12).sum())
    return as_far / (swaps + 1)


def _coins(images: int, swaps: int, seed: int) -> Iterator[Float64[ndarray, "swap image"]]:
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // images)
    for start in range(0, swaps, block):
        number = min(block, swaps - start)
        yield generator.integers(2, size=(number, images)).astype(np.float64)


def _stacked(counts: ImageCounts) -> Float64[ndarray, "3 image category"]:
    return np.stack([counts.hits, counts.true, counts.predicted]).astype(np.float64)


def _per_image(scores: SegmentationScores) -> Float64[ndarray, " image"]:
    counts = scores.image_counts
    iou = ratios.iou(counts.hits, counts.true, counts.predicted)
    return ratios.mean_over_categories(iou, scores.absent_rule)


def _refuse_others(scores: SegmentationScores, reference: SegmentationScores) -> None:
    ours, theirs = scores.image_counts, reference.image_counts
    if ours.keys != theirs.keys:
        other = sorted(set(ours.keys) ^ set(theirs.keys))
        raise StructureError(
            f"paired_difference got {len(ours.keys)} images and {len(theirs.keys)} in the "
            f"reference, {len(other)} of them ({', '.join(other[:3])} ...) only in one: judge both "
            "on the same images"
        )
    if scores.absent_rule != reference.absent_rule:
        raise StructureError(
            f"paired_difference got the absent rules '{scores.absent_rule}' and "
            f"'{reference.absent_rule}': compute both with one"
        )
    if not _same_truth(ours.true, theirs.true):
        raise StructureError(
            "paired_difference got images of one name with other truths: judge both on the same "
            "masks and classes"
        )


def _same_truth(one: Int64[ndarray, "image category"], other: Int64[ndarray, "image _"]) -> bool:
    return one.shape == other.shape and bool((one == other).all())


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON's values have no common type
    if isinstance(value, float) and isnan(value):
        return None
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value
