"""What a confusion matrix says, number by number; the formulas are in `ratios`."""

from dataclasses import dataclass
from math import isnan
from typing import Any

from jaxtyping import Int64
from numpy import ndarray
from torch import Tensor

from segscape.metrics import ratios
from segscape.metrics.bootstrap import ConfidenceIntervals, bootstrap_intervals
from segscape.metrics.ratios import Absent as Absent
from segscape.structures import Taxonomy


@dataclass(frozen=True)
class ClassScores:
    """The scores of one category, in [0, 1] or nan where not defined.

    Args:
        name: of the category.
        iou: TP / (TP + FP + FN).
        precision: TP / (TP + FP).
        recall: TP / (TP + FN).
        f1: 2 TP / (2 TP + FP + FN).
        accuracy: (TP + TN) / all judged pixels, which is near 1 for every rare category.
        support: judged pixels that are this category.
        predicted: judged pixels that were called this category.
    """

    name: str
    iou: float
    precision: float
    recall: float
    f1: float
    accuracy: float
    support: int
    predicted: int

    @property
    def dice(self) -> float:
        """The same number as `f1`."""
        return self.f1

    @property
    def pixel_accuracy(self) -> float:
        """The "class accuracy" of the FCN and SegNet papers: the same number as `recall`."""
        return self.recall

    @property
    def is_absent(self) -> bool:
        """Whether the category is neither in the truth nor in the predictions."""
        return self.support == 0 and self.predicted == 0


@dataclass(frozen=True)
class ImageScores:
    """The scores of one image, in [0, 1] or nan where all of it is void.

    Args:
        miou: mean IoU over the categories of this image. Its average over images is
            `miou_per_image`, which is not the data set's `miou`.
        pixel_accuracy: share of the judged pixels that are right.
        mean_dice: mean Dice over the categories of this image.
        judged_pixels: pixels that are not void in the truth.
    """

    miou: float
    pixel_accuracy: float
    mean_dice: float
    judged_pixels: int


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """Pixels by image and category.

    Args:
        keys: names of the images, sorted.
        hits: pixels that are the category and were called it.
        true: judged pixels that are the category.
        predicted: judged pixels that were called the category.
    """

    keys: tuple[str, ...]
    hits: Int64[ndarray, "image category"]
    true: Int64[ndarray, "image category"]
    predicted: Int64[ndarray, "image category"]


@dataclass(frozen=True, eq=False)
class SegmentationScores:
    """The scores of a data set, in [0, 1] or nan where nothing was judged.

    All but `miou_per_image` are computed from the sum of the images' matrices, so that large images
    and large categories weigh as their pixels do.

    Args:
        images: how many were counted.
        absent_rule: how categories that occur nowhere enter the means: left out ("exclude") or
            counted as 0 ("zero").
        miou: mean of the categories' IoU.
        pixel_accuracy: share of the judged pixels that are right.
        mean_pixel_accuracy: mean of the categories' recall (Long et al. 2015).
        frequency_weighted_iou: mean of the categories' IoU, weighted by their pixels.
        mean_dice: mean of the categories' Dice, which is the mean F1.
        mean_precision: mean of the categories' precision.
        miou_per_image: mean over the images of each image's own mean IoU, all-void ones left out.
        per_class: one per category, in the order of the taxonomy.
        matrix: pixels by true and predicted category; the last column counts pixels that were
            predicted to be nothing.
        image_counts: what the scores of images and the intervals are computed from.
    """

    images: int
    absent_rule: Absent
    miou: float
    pixel_accuracy: float
    mean_pixel_accuracy: float
    frequency_weighted_iou: float
    mean_dice: float
    mean_precision: float
    miou_per_image: float
    per_class: tuple[ClassScores, ...]
    matrix: Int64[Tensor, "true predicted"]
    image_counts: ImageCounts

    @classmethod
    def of(
        cls,
        taxonomy: Taxonomy,
        matrix: Int64[Tensor, "true predicted"],
        image_counts: ImageCounts,
        absent: Absent,
    ) -> "SegmentationScores":
        """Compute all scores; `ConfusionMatrix.compute` calls this."""
        counts = matrix.numpy()
        hits, true, predicted = counts.diagonal(), counts.sum(1), counts[:, :-1].sum(0)
        iou = ratios.iou(hits, true, predicted)
        precision = ratios.precision(hits, true, predicted)
        recall = ratios.recall(hits, true)
        dice = ratios.dice(hits, true, predicted)
        accuracy = ratios.accuracy(hits, true, predicted)
        per_class = tuple(
            ClassScores(
                name=name,
                iou=float(iou[i]),
                precision=float(precision[i]),
                recall=float(recall[i]),
                f1=float(dice[i]),
                accuracy=float(accuracy[i]),
                support=int(true[i]),
                predicted=int(predicted[i]),
            )
            for i, name in enumerate(taxonomy.names)
        )
        of_images = ratios.mean_over_categories(
            ratios.iou(image_counts.hits, image_counts.true, image_counts.predicted), absent
        )
        return cls(
            images=len(image_counts.keys),
            absent_rule=absent,
            miou=float(ratios.mean_over_categories(iou, absent)),
            pixel_accuracy=float(ratios.pixel_accuracy(hits, true)),
            mean_pixel_accuracy=float(ratios.mean_over_categories(recall, absent)),
            frequency_weighted_iou=float(ratios.frequency_weighted_iou(hits, true, predicted)),
            mean_dice=float(ratios.mean_over_categories(dice, absent)),
            mean_precision=float(ratios.mean_over_categories(precision, absent)),
            miou_per_image=float(ratios.mean_over_categories(of_images, "exclude")),
            per_class=per_class,
            matrix=matrix,
            image_counts=image_counts,
        )

    @property
    def mean_recall(self) -> float:
        """Mean of the categories' recall: the same number as `mean_pixel_accuracy`."""
        return self.mean_pixel_accuracy

    @property
    def mean_f1(self) -> float:
        """Mean of the categories' F1: the same number as `mean_dice`."""
        return self.mean_dice

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the categories that are neither in the truth nor in the predictions."""
        return tuple(scores.name for scores in self.per_class if scores.is_absent)

    def per_image(self) -> dict[str, ImageScores]:
        """The scores of each image by its key, sorted by key."""
        counts = self.image_counts
        parts = counts.hits, counts.true, counts.predicted
        miou = ratios.mean_over_categories(ratios.iou(*parts), self.absent_rule)
        mean_dice = ratios.mean_over_categories(ratios.dice(*parts), self.absent_rule)
        right = ratios.pixel_accuracy(counts.hits, counts.true)
        judged = counts.true.sum(1)
        return {
            key: ImageScores(float(miou[i]), float(right[i]), float(mean_dice[i]), int(judged[i]))
            for i, key in enumerate(counts.keys)
        }

    def bootstrap(
        self, samples: int = 1000, *, seed: int = 0, level: float = 0.95
    ) -> ConfidenceIntervals | None:
        """Intervals that the scores keep to when images are drawn anew.

        With few images (below about twenty) they are too narrow; for fewer than five there are
        none.

        Args:
            samples: how many times the images are drawn, 1 or more.
            seed: same seed, same intervals, whatever the order of the images was.
            level: share of the draws inside, in (0, 1).

        Raises:
            StructureError: for no samples or a level outside (0, 1).
        """
        counts = self.image_counts
        return bootstrap_intervals(
            counts.hits,
            counts.true,
            counts.predicted,
            samples=samples,
            seed=seed,
            level=level,
            absent=self.absent_rule,
        )

    def to_json(self) -> dict[str, Any]:
        """The numbers as a dict that `json` can write; nan becomes null."""
        names = (
            "miou",
            "pixel_accuracy",
            "mean_pixel_accuracy",
            "frequency_weighted_iou",
            "mean_dice",
            "mean_precision",
            "mean_recall",
            "mean_f1",
            "miou_per_image",
        )
        return {
            "task": "semantic",
            "images": self.images,
            "metrics": {name: _number(getattr(self, name)) for name in names},
            "per_class": [
                {"name": scores.name}
                | {
                    name: _number(getattr(scores, name))
                    for name in ("iou", "precision", "recall", "f1", "accuracy")
                }
                for scores in self.per_class
            ],
        }


def _number(value: float) -> float | None:
    return None if isnan(value) else value
