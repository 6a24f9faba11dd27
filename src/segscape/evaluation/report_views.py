"""What the report's template shows, worked out from the numbers: it only places it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segscape.evaluation.evaluation import Estimate, Evaluation, Example, Fact, Reliability
from segscape.evaluation.pictures import data_uri
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
    return [
        {"label": label, "estimate": evaluation.metrics[name], "note": "no interval"}
        for name, label in HEADLINE.items()
        if name in evaluation.metrics
    ]


def confusions(evaluation: Evaluation) -> list[Confusion]:
    """The errors with the most pixels, most first."""
    matrix, names = evaluation.confusion, evaluation.taxonomy.names
    errors = sum(n for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j)
    pairs = [
        Confusion(names[i], names[j], n, n / sum(row), n / errors)
        for i, row in enumerate(matrix)
        for j, n in enumerate(row)
        if i != j and n > 0
    ]
    return sorted(pairs, key=lambda pair: -pair.pixels)[:MOST_CONFUSIONS]


def matrix_view(evaluation: Evaluation) -> dict[str, Any]:
    """The confusion matrix, by rows and by columns; of many categories the most confused ones."""
    matrix, names = evaluation.confusion, evaluation.taxonomy.names
    truth = [sum(row) for row in matrix]
    predicted = [sum(column) for column in zip(*matrix, strict=True)]
    wrong = [truth[i] + predicted[i] - 2 * matrix[i][i] for i in range(len(names))]
    worst = sorted(range(len(names)), key=lambda i: -wrong[i])[:MOST_MATRIX_CATEGORIES]
    shown = sorted(worst)

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
        "names": [names[i] for i in shown],
        "left_out": len(names) - len(shown),
        "rows": [{"name": names[i], "cells": [cell(i, j) for j in shown]} for i in shown],
    }


def _percent_text(share: float) -> str:
    return "" if share < 0.005 else f"{share * 100:.0f}"


def histogram(evaluation: Evaluation) -> list[dict[str, Any]]:
    """How the images' mean IoU is spread, in bins from 0 to 1; empty for fewer than two images."""
    values = [result.miou for result in evaluation.image_results if result.miou is not None]
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
        "key": example.result.key,
        "miou": example.result.miou,
        "pixel_accuracy": example.result.pixel_accuracy,
        "height": image.shape[1],
        "width": image.shape[2],
        "pictures": [
            ("image", data_uri(image, "photograph")),
            *((caption, data_uri(drawing, "drawing")) for caption, drawing in drawings.items()),
        ],
    }


def image_rows(evaluation: Evaluation) -> list[Any]:
    """The images' numbers, worst first, all-void images last."""
    ordered = sorted(
        evaluation.image_results,
        key=lambda result: (result.miou is None, result.miou or 0.0, result.key),
    )
    return ordered[:MOST_IMAGE_ROWS]


def reliability_view(reliability: Reliability | None) -> list[dict[str, Any]]:
    """The bins of the reliability diagram in the coordinates of its drawing, 380 x 380."""
    if reliability is None:
        return []
    total = sum(bin_.pixels for bin_ in reliability.bins) or 1
    most = max((bin_.pixels for bin_ in reliability.bins), default=1) or 1
    views: list[dict[str, Any]] = []
    for bin_ in reliability.bins:
        accuracy = bin_.accuracy or 0.0
        words = f"scores {bin_.low:.2f} to {bin_.high:.2f}: {bin_.pixels / total:.1%} of pixels"
        if bin_.accuracy is not None and bin_.confidence is not None:
            words += f", mean score {bin_.confidence:.1%}, right {bin_.accuracy:.1%}"
        views.append(
            {
                "x": round(46 + bin_.low * 320 + 1, 1),
                "width": round((bin_.high - bin_.low) * 320 - 2, 1),
                "y": round(300 - accuracy * 288, 1),
                "height": round(accuracy * 288, 1),
                "accuracy": bin_.accuracy,
                "dot_x": round(46 + (bin_.confidence or 0.0) * 320, 1),
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


def has_intervals(numbers: Mapping[str, Estimate]) -> bool:
    """Whether any number comes with an interval."""
    return any(number.low is not None for number in numbers.values())
