"""What an evaluation found: the command line, the JSON file and the report only show it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from segscape.evaluation.boundaries import BoundaryScores
from segscape.evaluation.cells import CellAgreement
from segscape.metrics.bootstrap import ConfidenceIntervals, Interval, why_no_intervals
from segscape.metrics.calibration import CalibrationScores
from segscape.metrics.scores import ImageScores, SegmentationScores
from segscape.structures import LabelMap, Taxonomy

Fact = str | int | float | bool | None


@dataclass(frozen=True)
class Example:
    """An image kept for the report, made small, with its truth and its prediction."""

    key: str
    scores: ImageScores
    image: UInt8[Tensor, "channel height width"]
    prediction: LabelMap
    target: LabelMap


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


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that was found.

    Args:
        taxonomy: of the data set; the scores follow its order.
        scores: the numbers.
        intervals: how far they would move with other images, None when not asked
            for or for too few images.
        calibration: whether scores can be read as probabilities, None when not asked for.
        boundary: how well contours are followed and small regions found, None when not asked for.
        cells: how well the pieces of a category are told apart, None when not asked for.
        void_pixels: pixels the truth ignores: not judged.
        worst: images of the lowest mean IoU, worst first.
        best: images of the highest, best first; no image is in both.
        speed: how long it took.
        rules: how the numbers are defined, in sentences.
        data: which images these were, for people.
        model: which model this was, for people.
        environment: versions and machine, for people.
    """

    taxonomy: Taxonomy
    scores: SegmentationScores
    intervals: ConfidenceIntervals | None
    calibration: CalibrationScores | None
    boundary: BoundaryScores | None
    cells: CellAgreement | None
    void_pixels: int
    worst: tuple[Example, ...]
    best: tuple[Example, ...]
    speed: Speed
    rules: tuple[str, ...]
    data: Mapping[str, Fact]
    model: Mapping[str, Fact]
    environment: Mapping[str, Fact]

    @property
    def images(self) -> int:
        """How many images were judged."""
        return self.scores.images

    @property
    def judged_pixels(self) -> int:
        """Pixels that are not void in the truth."""
        return int(self.scores.matrix.sum())

    @property
    def why_no_intervals(self) -> str:
        """In a few words, empty where there are images enough for intervals."""
        return why_no_intervals(self.images)

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures, as dicts and lists; numbers not defined are null."""
        categories = self.scores.per_class
        found = self.scores.to_json()
        if self.boundary is not None:
            found["metrics"] |= {
                "boundary_f1": _plain(self.boundary.f1.score),
                "boundary_iou": _plain(self.boundary.iou.score),
                "trimap": {str(w): _plain(miou) for w, miou in self.boundary.trimap.items()},
            }
        if self.cells is not None:
            found["metrics"] |= {
                "v_rand": _plain(self.cells.overall.scores.rand),
                "v_info": _plain(self.cells.overall.scores.information),
                "warping_error": _plain(self.cells.overall.warping_error),
            }
        return found | {
            "intervals": None if self.intervals is None else self._intervals(self.intervals),
            "pixels": {
                "judged": self.judged_pixels,
                "void": self.void_pixels,
                "truth": {category.name: category.support for category in categories},
                "predicted": {category.name: category.predicted for category in categories},
            },
            "absent_from_truth": [c.name for c in categories if c.support == 0],
            "confusion": {
                "rows": "truth",
                "columns": "prediction; the last is void",
                "classes": list(self.taxonomy.names),
                "pixels": self.scores.matrix.tolist(),
            },
            "per_image": [
                {"key": key} | _plain(asdict(scores))
                for key, scores in self.scores.per_image().items()
            ],
            "calibration": None if self.calibration is None else _plain(asdict(self.calibration)),
            "boundary": (
                None if self.boundary is None else _plain(self.boundary.to_json(self.taxonomy))
            ),
            "region_sizes": (
                None
                if self.boundary is None
                else _plain(self.boundary.sizes_to_json(self.taxonomy))
            ),
            "cells": None if self.cells is None else _plain(self.cells.to_json()),
            "speed": asdict(self.speed),
            "rules": list(self.rules),
            "data": dict(self.data),
            "model": dict(self.model),
            "environment": dict(self.environment),
        }

    def _intervals(self, intervals: ConfidenceIntervals) -> dict[str, Any]:
        return {
            "level": intervals.level,
            "samples": intervals.samples,
            "miou": _bounds(intervals.miou),
            "pixel_accuracy": _bounds(intervals.pixel_accuracy),
            "iou": {
                name: _bounds(interval)
                for name, interval in zip(self.taxonomy.names, intervals.class_iou, strict=True)
            },
        }


def _bounds(interval: Interval) -> list[float] | None:
    return None if isnan(interval.low) else [interval.low, interval.high]


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON's values have no common type
    """JSON has no nan: null stands for it."""
    if isinstance(value, float) and isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
