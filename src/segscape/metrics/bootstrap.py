"""How far scores would move with other images: bootstrap confidence intervals.

Efron 1979 (doi:10.1214/aos/1176344552), percentile intervals. Images are drawn, not pixels: the
pixels of one image are not independent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from segscape.metrics import ratios
from segscape.structures.errors import StructureError

# Below, draws repeat the same few sums: n images have (2 n - 1 over n) different draws, 35 for 4.
FEWEST_IMAGES = 5
_BLOCK = 8_000_000  # draws held at once: 64 MB


@dataclass(frozen=True)
class Interval:
    """Two bounds of a score; both nan where the score is not defined."""

    low: float
    high: float


@dataclass(frozen=True)
class ConfidenceIntervals:
    """Bounds that scores keep to when images are drawn anew.

    Args:
        level: share of the draws inside, in (0, 1).
        samples: how many times the images were drawn.
        miou: of the mean IoU over the data set.
        pixel_accuracy: of the share of right pixels.
        class_iou: of each category's IoU, over the draws in which the category occurs.
    """

    level: float
    samples: int
    miou: Interval
    pixel_accuracy: Interval
    class_iou: tuple[Interval, ...]


def bootstrap_intervals(
    hits: Int64[ndarray, "image category"],
    true: Int64[ndarray, "image category"],
    predicted: Int64[ndarray, "image category"],
    *,
    samples: int,
    seed: int,
    level: float,
    absent: ratios.Absent,
) -> ConfidenceIntervals | None:
    """Draw as many images as there are, with replacement, and score the sums, many times.

    None for fewer than `FEWEST_IMAGES`.

    Args:
        hits: pixels of each image and category that are right.
        true: pixels that are the category.
        predicted: pixels that were called it.
        samples: how many times to draw, 1 or more.
        seed: same seed, same intervals.
        level: in (0, 1).
        absent: the rule for categories that a draw does not hold.

    Raises:
        StructureError: for no samples or a level outside (0, 1).
    """
    if samples < 1:
        raise StructureError(f"bootstrap got samples={samples}: draw at least once")
    if not 0 < level < 1:
        raise StructureError(f"bootstrap got level={level}: give one between 0 and 1, as 0.95")
    if len(hits) < FEWEST_IMAGES:
        return None
    mious: list[Float64[ndarray, " draw"]] = []
    accuracies: list[Float64[ndarray, " draw"]] = []
    class_ious: list[Float64[ndarray, "draw category"]] = []
    for times in drawn_images(len(hits), samples, seed):
        # Sums of pixels below 2^53 are exact in float64, and far faster than in integers.
        sums = [times @ counts.astype(np.float64) for counts in (hits, true, predicted)]
        class_iou = ratios.iou(*sums)
        class_ious.append(class_iou)
        mious.append(ratios.mean_over_categories(class_iou, absent))
        accuracies.append(ratios.pixel_accuracy(sums[0], sums[1]))
    return ConfidenceIntervals(
        level=level,
        samples=samples,
        miou=quantile_interval(np.concatenate(mious), level),
        pixel_accuracy=quantile_interval(np.concatenate(accuracies), level),
        class_iou=tuple(quantile_interval(draws, level) for draws in np.concatenate(class_ious).T),
    )


def why_no_intervals(images: int) -> str:
    """In a few words; empty where there are images enough.

    >>> why_no_intervals(4)
    'no intervals: 4 images are too few to draw from, 5 are the least'
    """
    if images >= FEWEST_IMAGES:
        return ""
    few = "1 image is" if images == 1 else f"{images} images are"
    return f"no intervals: {few} too few to draw from, {FEWEST_IMAGES} are the least"


def drawn_images(images: int, samples: int, seed: int) -> Iterator[Float64[ndarray, "draw image"]]:
    """How often each draw holds each image, in blocks of draws."""
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // images)
    for start in range(0, samples, block):
        number = min(block, samples - start)
        drawn = generator.integers(images, size=(number, images))
        drawn += images * np.arange(number)[:, None]
        times = np.bincount(drawn.ravel(), minlength=number * images)
        yield times.reshape(number, images).astype(np.float64)


def quantile_interval(draws: Float64[ndarray, "draw"], level: float) -> Interval:
    """The middle of the draws that are numbers, holding the share `level` of them."""
    draws = draws[~np.isnan(draws)]
    if len(draws) == 0:
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
