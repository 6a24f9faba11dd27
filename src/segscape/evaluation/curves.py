"""The curves of a training run, read from its journal."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segscape.evaluation.charts import Chart, Point, line_chart

JOURNAL = "journal.jsonl"


def training_charts(run: Path) -> list[Chart]:
    """Loss, mIoU and learning rate over epochs; empty when the run has no journal.

    The journal is a by-product: a line that cannot be read is left out rather than refused.
    """
    records = _records(run / JOURNAL)
    steps = [record for record in records if record.get("kind") == "step"]
    evaluations = [record for record in records if record.get("kind") == "evaluation"]
    charts = [
        line_chart(
            "Loss",
            "epoch",
            [("training", _points(steps, "loss")), ("validation", _points(evaluations, "loss"))],
            logarithmic=True,
        ),
        line_chart(
            "Validation mIoU, %",
            "epoch",
            [("mIoU", [(x, y * 100) for x, y in _points(evaluations, "miou")])],
            from_zero=True,
        ),
        line_chart(
            "Learning rate", "epoch", [("rate", _points(steps, "learning_rate"))], from_zero=True
        ),
    ]
    return [chart for chart in charts if chart is not None]


def _records(path: Path) -> list[Mapping[str, Any]]:
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    records: list[Mapping[str, Any]] = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:  # torn by a kill
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def _points(records: list[Mapping[str, Any]], name: str) -> list[Point]:
    points: list[Point] = []
    for record in records:
        x, y = record.get("epoch", record.get("step")), record.get(name)
        if isinstance(x, int | float) and isinstance(y, int | float):
            points.append((float(x), float(y)))
    return points
