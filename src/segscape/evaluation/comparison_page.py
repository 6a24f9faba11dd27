"""The page of a comparison: one HTML file that holds everything and asks nothing of the network."""

from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any

from segscape import __version__
from segscape.evaluation import charts
from segscape.evaluation.comparison import Comparison, SharedExample, Standing
from segscape.evaluation.pages import template, write_page
from segscape.evaluation.pictures import data_uri
from segscape.evaluation.report_views import Estimate, fact_pairs
from segscape.metrics.bootstrap import Interval
from segscape.visualize.figures import as_rgb, smaller, smaller_labels
from segscape.visualize.overlay import paint

TEMPLATE = "comparison.html.jinja"
# Okabe and Ito 2008: told apart by people who see colours otherwise.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#7f7f7f")


def write_comparison(path: Path, comparison: Comparison, *, title: str) -> None:
    """Write the page, complete or not at all.

    Args:
        path: the HTML file; replaced when it exists.
        comparison: what to show.
        title: which data, as `camvid, val`.

    Raises:
        OutputError: when the file cannot be written.
    """
    write_page(
        path, lambda longest_side: render(comparison, title=title, longest_side=longest_side)
    )


def render(comparison: Comparison, *, title: str, longest_side: int = 480) -> str:
    """The page as text; every name from outside is escaped."""
    reference = comparison.standings[0]
    intervals = reference.evaluation.intervals
    return template(TEMPLATE).render(
        title=title,
        version=__version__,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        reference=reference.entrant.name,
        images=reference.evaluation.images,
        judged=reference.evaluation.judged_pixels,
        level=None if intervals is None else f"{intervals.level:.0%}",
        why_no_intervals=comparison.why_no_intervals,
        rows=[_row(place, standing) for place, standing in enumerate(comparison.standings)],
        scatter=_scatter(comparison),
        scatter_width=charts.SCATTER_WIDTH,
        scatter_height=charts.SCATTER_HEIGHT,
        chart_left=charts.LEFT,
        colors={
            standing.entrant.name: _color(place)
            for place, standing in enumerate(comparison.standings)
        },
        categories=_categories(comparison),
        legend=reference.evaluation.taxonomy.categories,
        examples=[_example(comparison, example, longest_side) for example in comparison.examples],
        rules=reference.evaluation.rules,
        data_facts=fact_pairs(reference.evaluation.data),
        environment_facts=fact_pairs(reference.evaluation.environment),
    )


def _color(place: int) -> str:
    return COLORS[place % len(COLORS)]


def _row(place: int, standing: Standing) -> dict[str, Any]:
    evaluation, difference = standing.evaluation, standing.difference
    intervals = evaluation.intervals
    return {
        "name": standing.entrant.name,
        "architecture": standing.entrant.architecture,
        "color": _color(place),
        "miou": Estimate.of(evaluation.scores.miou, None if intervals is None else intervals.miou),
        "difference": None
        if difference is None
        else _difference(difference.miou, difference.miou_interval),
        "p_value": None if difference is None else _p_text(difference.p_value),
        "won": None if difference is None else difference.images_won,
        "lost": None if difference is None else difference.images_lost,
        "parameters": standing.parameters,
        "seconds": evaluation.speed.median_seconds,
    }


def _difference(value: float, interval: Interval) -> dict[str, Any]:
    estimate = Estimate.of(value, interval)
    sure = estimate.low is not None and estimate.high is not None
    better = sure and (estimate.low or 0) > 0
    worse = sure and (estimate.high or 0) < 0
    return {"estimate": estimate, "kind": "better" if better else "worse" if worse else "even"}


def _p_text(value: float) -> str:
    if isnan(value):
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _scatter(comparison: Comparison) -> charts.ScatterChart | None:
    points: list[tuple[str, float, float, float, charts.Point]] = []
    for standing in comparison.standings:
        evaluation = standing.evaluation
        intervals = evaluation.intervals
        nan = float("nan")
        bounds = (nan, nan) if intervals is None else (intervals.miou.low, intervals.miou.high)
        points.append(
            (
                standing.entrant.name,
                1000 * evaluation.speed.median_seconds,
                100 * evaluation.scores.miou,
                float(standing.parameters),
                (100 * bounds[0], 100 * bounds[1]),
            )
        )
    return charts.scatter_chart(points)


def _categories(comparison: Comparison) -> list[dict[str, Any]]:
    taxonomy = comparison.standings[0].evaluation.taxonomy
    rows: list[dict[str, Any]] = []
    for position, category in enumerate(taxonomy.categories):
        cells: list[dict[str, Any]] = []
        for standing in comparison.standings:
            iou = standing.evaluation.scores.per_class[position].iou
            difference = standing.difference
            cells.append(
                {
                    "iou": None if isnan(iou) else iou,
                    "difference": None
                    if difference is None
                    else _difference(
                        difference.class_iou[position], difference.class_iou_intervals[position]
                    ),
                }
            )
        known = [cell["iou"] for cell in cells if cell["iou"] is not None]
        for cell in cells:
            cell["best"] = bool(known) and cell["iou"] == max(known)
        rows.append({"name": category.name, "color": category.color, "cells": cells})
    return rows


def _example(comparison: Comparison, example: SharedExample, longest_side: int) -> dict[str, Any]:
    image = smaller(as_rgb(example.image), longest_side)
    target = smaller_labels(example.target, longest_side)
    names = [standing.entrant.name for standing in comparison.standings]
    pictures: list[dict[str, Any]] = [
        {"caption": "image", "uri": data_uri(image, "photograph"), "miou": None, "color": None},
        {
            "caption": "truth",
            "uri": data_uri(paint(target, void="hatched"), "drawing"),
            "miou": None,
            "color": None,
        },
    ]
    for place, (name, prediction, miou) in enumerate(
        zip(names, example.predictions, example.mious, strict=True)
    ):
        labels = smaller_labels(prediction, longest_side)
        pictures.append(
            {
                "caption": name,
                "uri": data_uri(paint(labels, void="hatched"), "drawing"),
                "miou": miou,
                "color": _color(place),
            }
        )
    return {
        "key": example.key,
        "height": image.shape[1],
        "width": image.shape[2],
        "pictures": pictures,
    }
