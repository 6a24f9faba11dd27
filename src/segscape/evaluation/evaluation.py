"""What an evaluation found, as plain numbers that need neither the model nor the data again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from segscape.structures import LabelMap, Taxonomy

Fact = str | int | float | bool | None


@dataclass(frozen=True)
class Estimate:
    """A number with the interval that images drawn anew would leave it in.

    Args:
        value: in [0, 1]; None where the number is not defined, as the IoU of an absent category.
        low: lower end of the interval, None where there is none.
        high: upper end.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class CategoryResult:
    """How one category was met.

    Args:
        name: as in the data set's taxonomy.
        color: red, green, blue in 0..255.
        truth_pixels: judged pixels that are this category.
        predicted_pixels: judged pixels that were called this category.
        iou: intersection over union.
        precision: share of the called pixels that are right.
        recall: share of the true pixels that were found.
        f1: harmonic mean of the two, the same number as Dice.
        accuracy: the category's pixel accuracy of the FCN paper, which equals recall.
    """

    name: str
    color: tuple[int, int, int]
    truth_pixels: int
    predicted_pixels: int
    iou: Estimate
    precision: Estimate
    recall: Estimate
    f1: Estimate
    accuracy: Estimate

    @property
    def is_absent(self) -> bool:
        """Whether the truth holds no pixel of this category."""
        return self.truth_pixels == 0


@dataclass(frozen=True)
class ImageResult:
    """How one image was met.

    Args:
        key: the image's name within the data set.
        miou: mean IoU over the categories of this image, None when all of it is void.
        pixel_accuracy: share of the judged pixels that are right, None likewise.
        judged_pixels: pixels that are not void in the truth.
    """

    key: str
    miou: float | None
    pixel_accuracy: float | None
    judged_pixels: int


@dataclass(frozen=True)
class Example:
    """An image kept for the report, made small, with its truth and its prediction."""

    result: ImageResult
    image: UInt8[Tensor, "channel height width"]
    prediction: LabelMap
    target: LabelMap


@dataclass(frozen=True)
class ReliabilityBin:
    """The pixels whose highest score fell between two bounds.

    Args:
        low: lower bound of the scores.
        high: upper bound.
        pixels: how many.
        confidence: their mean score, None for an empty bin.
        accuracy: the share of them that is right, None for an empty bin.
    """

    low: float
    high: float
    pixels: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Reliability:
    """Whether scores can be read as probabilities.

    Args:
        bins: from low to high scores.
        expected_calibration_error: mean gap of confidence and accuracy, weighted by pixels, in
            [0, 1] (Guo et al. 2017, arXiv:1706.04599, equation 3).
    """

    bins: tuple[ReliabilityBin, ...]
    expected_calibration_error: float | None


@dataclass(frozen=True)
class Speed:
    """Seconds the segmenter took, reading of files excluded.

    Args:
        mean_seconds: per image, the first one left out where there are others: it warms up.
        median_seconds: likewise.
        total_seconds: of the whole evaluation, reading included.
    """

    mean_seconds: float
    median_seconds: float
    total_seconds: float


@dataclass(frozen=True)
class Evaluation:
    """All that was found; the command line, the JSON file and the report only show it.

    Args:
        taxonomy: of the data set; rows and columns of the confusion matrix follow it.
        images: how many were judged.
        metrics: the overall numbers, by their names in the JSON file.
        categories: one per category, in the order of the taxonomy.
        confusion: pixels by truth (row) and prediction (column).
        void_pixels: pixels the truth ignores: not judged.
        image_results: one per image, sorted by key.
        worst: images of the lowest mean IoU, worst first.
        best: images of the highest, best first; no image is in both.
        reliability: None when scores were not asked for.
        speed: how long it took.
        confidence_level: of all intervals, as 0.95; None when none were computed.
        rules: how the numbers are defined, in sentences.
        data: which images these were, for people.
        model: which model this was, for people.
        environment: versions and machine, for people.
    """

    taxonomy: Taxonomy
    images: int
    metrics: Mapping[str, Estimate]
    categories: tuple[CategoryResult, ...]
    confusion: tuple[tuple[int, ...], ...]
    void_pixels: int
    image_results: tuple[ImageResult, ...]
    worst: tuple[Example, ...]
    best: tuple[Example, ...]
    reliability: Reliability | None
    speed: Speed
    confidence_level: float | None
    rules: tuple[str, ...]
    data: Mapping[str, Fact]
    model: Mapping[str, Fact]
    environment: Mapping[str, Fact]

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures, as dicts and lists; numbers not defined are null.

        `metrics` and `per_class` hold plain numbers; their intervals stand in `intervals`, which
        mirrors the two.
        """
        return {
            "task": "semantic",
            "images": self.images,
            "metrics": {name: number.value for name, number in self.metrics.items()},
            "per_class": [
                {"name": category.name} | {name: number.value for name, number in _scores(category)}
                for category in self.categories
            ],
            "intervals": {
                "confidence_level": self.confidence_level,
                "metrics": {name: _interval(number) for name, number in self.metrics.items()},
                "per_class": [
                    {"name": category.name}
                    | {name: _interval(number) for name, number in _scores(category)}
                    for category in self.categories
                ],
            },
            "pixels": {
                "judged": sum(sum(row) for row in self.confusion),
                "void": self.void_pixels,
                "truth": {c.name: c.truth_pixels for c in self.categories},
                "predicted": {c.name: c.predicted_pixels for c in self.categories},
            },
            "absent": [category.name for category in self.categories if category.is_absent],
            "confusion": {
                "classes": list(self.taxonomy.names),
                "rows": "truth",
                "columns": "prediction",
                "pixels": [list(row) for row in self.confusion],
            },
            "per_image": [asdict(result) for result in self.image_results],
            "calibration": None if self.reliability is None else asdict(self.reliability),
            "speed": asdict(self.speed),
            "rules": list(self.rules),
            "data": dict(self.data),
            "model": dict(self.model),
            "environment": dict(self.environment),
        }


def _scores(category: CategoryResult) -> list[tuple[str, Estimate]]:
    return [
        ("iou", category.iou),
        ("precision", category.precision),
        ("recall", category.recall),
        ("f1", category.f1),
        ("accuracy", category.accuracy),
    ]


def _interval(number: Estimate) -> list[float] | None:
    return None if number.low is None or number.high is None else [number.low, number.high]
