"""The numbers of a comparison as a table in the terminal."""

from math import isnan

from rich import box
from rich.table import Table
from rich.text import Text

from segscape.evaluation.comparison import Comparison, Standing
from segscape.metrics.bootstrap import Interval
from segscape.metrics.paired import PairedDifference

# With it the table fits the 80 columns that pipes and logs are given.
LONGEST_NAME = 16


def compare_table(comparison: Comparison, title: str) -> Table:
    """One row per run: mIoU, difference from the first with its interval, size and speed."""
    table = Table(
        title=Text(f"{title}, in %"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("run", no_wrap=True, max_width=LONGEST_NAME, overflow="ellipsis")
    table.add_column("mIoU", justify="right", no_wrap=True, style="bold")
    for name in ("differs", "interval", "p", "M par.", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for standing in comparison.standings:
        table.add_row(*_cells(standing))
    return table


def _cells(standing: Standing) -> list[Text]:
    evaluation = standing.evaluation
    return [
        Text(standing.entrant.name),
        Text("-" if isnan(evaluation.scores.miou) else f"{100 * evaluation.scores.miou:.1f}"),
        *_difference(standing.difference),
        Text(f"{standing.parameters / 1e6:.3g}"),
        Text(f"{1000 * evaluation.speed.median_seconds:.3g}"),
    ]


def _difference(difference: PairedDifference | None) -> list[Text]:
    if difference is None:
        return [Text("reference", style="dim"), Text(""), Text("")]
    interval = difference.miou_interval
    style = "green" if interval.low > 0 else "red" if interval.high < 0 else "dim"
    value, p_value = difference.miou, difference.p_value
    return [
        Text("-" if isnan(value) else f"{100 * value:+.1f}", style=style),
        Text(_bounds(interval)),
        Text("-" if isnan(p_value) else "<0.001" if p_value < 0.001 else f"{p_value:.3f}"),
    ]


def _bounds(interval: Interval) -> str:
    if isnan(interval.low):
        return "-"
    return f"{100 * interval.low:+.1f} .. {100 * interval.high:+.1f}"
