"""What the report's template shows, worked out from the numbers: it only places it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from segscape.evaluation.boundaries import BoundaryScores, size_in_words
from segscape.evaluation.cells import CellAgreement
from segscape.evaluation.charts import Chart, line_chart
from segscape.evaluation.evaluation import Evaluation, Example, Fact
from segscape.evaluation.pictures import data_uri
from segscape.metrics.bootstrap import Interval
from segscape.metrics.calibration import CalibrationScores
from segscape.metrics.scores import ClassScores
from segscape.visualize.figures import as_rgb, smaller, smaller_labels
from segscape.visualize.overlay import difference, paint

MOST_MATRIX_CATEGORIES = 40
MOST_CONFUSIONS = 10
MOST_IMAGE_ROWS = 500
HISTOGRAM_BINS = 20

HEADLINE = {
    "miou": "Mean IoU",
    "pixel_accuracy": "Pixel accuracy",
    "mean_pixel_accuracy": "Mean pixel accuracy",
    "mean_dice": "Mean Dice (F1)",
    "frequency_weighted_iou": "Frequency-weighted IoU",
}


NOTES = {
    "mean_pixel_accuracy": "mean recall of the categories",
    "mean_dice": "mean over the categories",
    "frequency_weighted_iou": "weighted by pixels",
}


@dataclass(frozen=True)
class Estimate:
    """A number in [0, 1], None where it is not defined, and its interval where there is one."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float, interval: Interval | None = None) -> "Estimate":
        """With None for nan."""
        known = None if isnan(value) else value
        if known is None or interval is None or isnan(interval.low):
            return cls(known)
        return cls(known, interval.low, interval.high)


@dataclass(frozen=True)
class CategoryRow:
    """A row of the table of categories."""

    name: str
    color: tuple[int, int, int]
    truth_pixels: int
    iou: Estimate
    precision: Estimate
    recall: Estimate
    f1: Estimate

    @property
    def is_absent(self) -> bool:
        """Whether the truth holds no pixel of this category."""
        return self.truth_pixels == 0


@dataclass(frozen=True)
class Confusion:
    """One kind of error: `truth` called `prediction`."""

    truth: str
    prediction: str
    pixels: int
    of_truth: float
    of_errors: float


def headline(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The overall numbers that lead the page, the mIoU first."""
    intervals = evaluation.intervals
    known = (
        {}
        if intervals is None
        else {"miou": intervals.miou, "pixel_accuracy": intervals.pixel_accuracy}
    )
    notes = {"miou": evaluation.why_no_intervals, **NOTES}
    cards = [
        _card(label, getattr(evaluation.scores, name), notes.get(name, ""), known.get(name))
        for name, label in HEADLINE.items()
    ]
    if evaluation.boundary is not None:
        f1, iou = evaluation.boundary.f1, evaluation.boundary.iou
        cards += [
            _card("Boundary F1", f1.score, f"contours within {f1.tolerance:.2%} of the diagonal"),
            _card("Boundary IoU", iou.score, f"bands of {iou.dilation_ratio:.2%} of the diagonal"),
        ]
    if evaluation.cells is not None:
        cells, category = evaluation.cells.overall, evaluation.cells.category
        cards += [
            _card("V^Rand", cells.scores.rand, f"pieces of {category}, mean over images"),
            _card("V^Info", cells.scores.information, f"pieces of {category}, mean over images"),
            _card("Warping error", cells.warping_error, "of all pixels; 0 is best", digits=4),
        ]
    return cards


def _card(
    label: str, value: float, note: str, interval: Interval | None = None, *, digits: int = 1
) -> dict[str, Any]:
    estimate = Estimate.of(value, interval)
    return {"label": label, "estimate": estimate, "note": note, "digits": digits}


def category_rows(evaluation: Evaluation) -> list[CategoryRow]:
    """The categories with their numbers, in the order of the taxonomy."""
    intervals = evaluation.intervals

    def row(position: int, scores: ClassScores) -> CategoryRow:
        return CategoryRow(
            scores.name,
            evaluation.taxonomy.categories[position].color,
            scores.support,
            Estimate.of(scores.iou, None if intervals is None else intervals.class_iou[position]),
            Estimate.of(scores.precision),
            Estimate.of(scores.recall),
            Estimate.of(scores.f1),
        )

    return [row(i, scores) for i, scores in enumerate(evaluation.scores.per_class)]


def confusions(evaluation: Evaluation) -> list[Confusion]:
    """The errors with the most pixels, most first; the last column is no category at all."""
    matrix = evaluation.scores.matrix.tolist()
    names = [*evaluation.taxonomy.names, "nothing"]
    wrong = [(n, i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n]
    errors = sum(n for n, _, _ in wrong)
    most = sorted(wrong, key=lambda cell: -cell[0])[:MOST_CONFUSIONS]
    return [Confusion(names[i], names[j], n, n / sum(matrix[i]), n / errors) for n, i, j in most]


def matrix_view(evaluation: Evaluation) -> dict[str, Any]:
    """The confusion matrix, by rows and by columns; of many categories the most confused ones."""
    matrix, names = evaluation.scores.matrix.tolist(), [*evaluation.taxonomy.names, "nothing"]
    truth = [sum(row) for row in matrix]
    predicted = [sum(column) for column in zip(*matrix, strict=True)]
    count = len(truth)
    wrong = [truth[i] + predicted[i] - 2 * matrix[i][i] for i in range(count)]
    worst = sorted(range(count), key=lambda i: -wrong[i])[:MOST_MATRIX_CATEGORIES]
    rows = sorted(worst)
    columns = rows + ([count] if predicted[count] else [])

    def cell(i: int, j: int) -> dict[str, str]:
        pixels = matrix[i][j]
        of_truth = pixels / truth[i] if truth[i] else 0.0
        of_prediction = pixels / predicted[j] if predicted[j] else 0.0
        kinds = ["right"] if i == j else []
        kinds += ["strong"] if of_truth > 0.55 else []
        kinds += ["strong-c"] if of_prediction > 0.55 else []
        verb = "rightly called" if i == j else "called"
        return {
            "kind": " ".join(kinds),
            "of_truth": f"{of_truth:.3f}",
            "of_prediction": f"{of_prediction:.3f}",
            "truth_text": _percent_text(of_truth),
            "prediction_text": _percent_text(of_prediction),
            "words": (
                f"{of_truth:.1%} of {names[i]} is {verb} {names[j]} ({pixels:,} pixels, "
                f"{of_prediction:.1%} of all that is called {names[j]})"
            ),
        }

    return {
        "names": [names[j] for j in columns],
        "left_out": count - len(rows),
        "rows": [{"name": names[i], "cells": [cell(i, j) for j in columns]} for i in rows],
    }


def _percent_text(share: float) -> str:
    return "" if share < 0.005 else f"{share * 100:.0f}"


def histogram(evaluation: Evaluation) -> list[dict[str, Any]]:
    """How the images' mean IoU is spread, in bins from 0 to 1; empty for fewer than two images."""
    values = [scores.miou for scores in evaluation.scores.per_image().values()]
    values = [value for value in values if not isnan(value)]
    if len(values) < 2:
        return []
    counts = [0] * HISTOGRAM_BINS
    for value in values:
        counts[min(int(value * HISTOGRAM_BINS), HISTOGRAM_BINS - 1)] += 1
    return [
        {
            "count": count,
            "height": count / max(counts),
            "low": f"{100 * position / HISTOGRAM_BINS:.0f}",
            "high": f"{100 * (position + 1) / HISTOGRAM_BINS:.0f}",
        }
        for position, count in enumerate(counts)
    ]


def gallery(examples: Sequence[Example], longest_side: int) -> list[dict[str, Any]]:
    """Image, truth, prediction and difference of each example as pictures inside the page."""
    return [_example(example, longest_side) for example in examples]


def _example(example: Example, longest_side: int) -> dict[str, Any]:
    image = smaller(as_rgb(example.image), longest_side)
    target = smaller_labels(example.target, longest_side)
    prediction = smaller_labels(example.prediction, longest_side)
    drawings = {
        "truth": paint(target, void="hatched"),
        "prediction": paint(prediction, void="hatched"),
        "difference": difference(prediction, target),
    }
    return {
        "key": example.key,
        "miou": example.scores.miou,
        "pixel_accuracy": example.scores.pixel_accuracy,
        "height": image.shape[1],
        "width": image.shape[2],
        "pictures": [
            ("image", data_uri(image, "photograph")),
            *((caption, data_uri(drawing, "drawing")) for caption, drawing in drawings.items()),
        ],
    }


def image_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The images' numbers, worst first, all-void images last."""
    rows: list[dict[str, Any]] = [
        {
            "key": key,
            "miou": None if isnan(scores.miou) else scores.miou,
            "pixel_accuracy": None if isnan(scores.pixel_accuracy) else scores.pixel_accuracy,
            "judged_pixels": scores.judged_pixels,
            "cells": _cell_values(evaluation.cells, key),
        }
        for key, scores in evaluation.scores.per_image().items()
    ]
    rows.sort(key=lambda row: (row["miou"] is None, row["miou"] or 0.0, row["key"]))
    return rows[:MOST_IMAGE_ROWS]


def trimap_chart(boundary: BoundaryScores | None) -> Chart | None:
    """Mean IoU over the width of the band that is judged; None where no two widths have one."""
    points = [] if boundary is None else list(boundary.trimap.items())
    return line_chart(
        "Mean IoU near true contours, %",
        "pixels on either side of the contour",
        [("mIoU", [(float(width), 100 * miou) for width, miou in points])],
    )


def trimap_numbers(boundary: BoundaryScores | None) -> list[tuple[str, float | None]]:
    """The mean IoU of each band under its width."""
    bands = {} if boundary is None else boundary.trimap
    return [(str(width), None if isnan(miou) else miou) for width, miou in bands.items()]


def size_rows(boundary: BoundaryScores | None) -> list[dict[str, Any]]:
    """Recall and IoU of the regions of each size, small ones first; none where not judged."""
    return [
        {
            "name": size_in_words(row),
            "regions": row.regions,
            "recall": None if isnan(row.mean_recall) else row.mean_recall,
            "miou": None if isnan(row.miou) else row.miou,
            "class_regions": row.class_regions,
            "class_recall": [None if isnan(recall) else recall for recall in row.class_recall],
        }
        for row in ([] if boundary is None else boundary.sizes)
    ]


def cell_rows(cells: CellAgreement | None) -> list[dict[str, Any]]:
    """Each score with its two parts; none where cells are not judged."""
    if cells is None:
        return []
    of = cells.overall.scores
    rows = [
        ("V^Rand", (of.rand, of.rand_split, of.rand_merge)),
        ("V^Info", (of.information, of.information_split, of.information_merge)),
    ]
    return [
        {"name": name, "shares": [None if isnan(value) else value for value in values]}
        for name, values in rows
    ]


def _cell_values(cells: CellAgreement | None, key: str) -> list[float | None]:
    """V^Rand, V^Info and warping error of an image; nothing where cells are not judged."""
    if cells is None:
        return []
    one = cells.per_image.get(key)
    values = [] if one is None else [one.scores.rand, one.scores.information, one.warping_error]
    return [None if isnan(value) else value for value in values] or [None] * 3


def reliability_view(calibration: CalibrationScores | None) -> list[dict[str, Any]]:
    """The bins of the reliability diagram in the coordinates of its drawing, 380 x 380."""
    if calibration is None:
        return []
    counts = [bin_.pixels for bin_ in calibration.table]
    total, most = max(sum(counts), 1), max(*counts, 1)
    views: list[dict[str, Any]] = []
    for bin_ in calibration.table:
        empty = bin_.pixels == 0
        accuracy, confidence = (0.0, 0.0) if empty else (bin_.accuracy, bin_.confidence)
        words = f"scores {bin_.low:.2f} to {bin_.high:.2f}: {bin_.pixels / total:.1%} of pixels"
        if not empty:
            words += f", mean score {confidence:.1%}, right {accuracy:.1%}"
        views.append(
            {
                "empty": empty,
                "x": round(46 + bin_.low * 320 + 1, 1),
                "width": round((bin_.high - bin_.low) * 320 - 2, 1),
                "y": round(300 - accuracy * 288, 1),
                "height": round(accuracy * 288, 1),
                "dot_x": round(46 + confidence * 320, 1),
                "count_height": round(28 * bin_.pixels / most, 1),
                "words": words,
            }
        )
    return views


def fact_pairs(facts: Mapping[str, Fact]) -> list[tuple[str, str]]:
    """Names and values as people read them."""
    return [
        (name.replace("_", " "), _fact_text(value))
        for name, value in facts.items()
        if value is not None
    ]


def _fact_text(value: Fact) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
