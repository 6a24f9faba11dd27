"""The numbers of an evaluation as a table in the terminal."""

from math import isnan

from rich import box
from rich.table import Table
from rich.text import Text

from segscape.evaluation.boundaries import BoundaryScores, size_in_words
from segscape.evaluation.evaluation import Evaluation
from segscape.metrics.bootstrap import Interval
from segscape.metrics.scores import ClassScores

# With it the table is 77 columns wide at most, which fits what pipes and logs are given.
LONGEST_NAME = 24


def score_table(evaluation: Evaluation, title: str) -> Table:
    """One row per category: IoU with its interval, precision, recall, F1, accuracy, share."""
    # Text, not str: names may hold square brackets, which rich would read as markup.
    table = Table(
        title=Text(f"{title}, in %"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("category", no_wrap=True, max_width=LONGEST_NAME, overflow="ellipsis")
    table.add_column("IoU", justify="right", no_wrap=True, style="bold")
    intervals = evaluation.intervals
    if intervals is not None:
        table.add_column(f"{intervals.level:.0%} interval", justify="right", no_wrap=True)
    for name in ("prec.", "recall", "F1", "acc.", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for position, scores in enumerate(evaluation.scores.per_class):
        interval = [] if intervals is None else [_interval(intervals.class_iou[position])]
        table.add_row(
            _name(evaluation, position, scores),
            _percent(scores.iou),
            *interval,
            _percent(scores.precision),
            _percent(scores.recall),
            _percent(scores.f1),
            _percent(scores.accuracy),
            _share(scores.support, evaluation.judged_pixels),
            style="dim" if scores.support == 0 else "",
        )
    return table


def overall(evaluation: Evaluation) -> Text:
    """The overall numbers, the speed, and what stays out of the means."""
    scores, intervals = evaluation.scores, evaluation.intervals
    lines = [
        ("mIoU", scores.miou, None if intervals is None else intervals.miou),
        (
            "pixel accuracy",
            scores.pixel_accuracy,
            None if intervals is None else intervals.pixel_accuracy,
        ),
        ("mean pixel accuracy", scores.mean_pixel_accuracy, None),
        ("mean Dice", scores.mean_dice, None),
        ("frequency-weighted IoU", scores.frequency_weighted_iou, None),
    ]
    if evaluation.boundary is not None:
        lines += [
            ("boundary F1", evaluation.boundary.f1.score, None),
            ("boundary IoU", evaluation.boundary.iou.score, None),
        ]
    text = Text()
    for name, value, interval in lines:
        bounds = "" if interval is None or isnan(interval.low) else f"  ({_interval(interval)})"
        text.append(f"{name:24}", style="dim").append(f"{_percent(value):>6}", style="bold")
        text.append(f"{bounds}\n")
    if evaluation.boundary is not None:
        text.append(_near_contours(evaluation.boundary)).append(_by_size(evaluation.boundary))
    if evaluation.calibration is not None:
        error = evaluation.calibration.expected_calibration_error
        text.append(f"{'calibration error':24}", style="dim")
        text.append(f"{_percent(error):>6}\n", style="bold")
    speed = evaluation.speed
    text.append(f"{'images':24}", style="dim").append(f"{evaluation.images:>6,}", style="bold")
    text.append(f"  ({speed.mean_seconds:.3g} s per image)")
    if evaluation.why_no_intervals:
        text.append(f"\n{evaluation.why_no_intervals}")
    if evaluation.judged_pixels == 0:
        text.append(
            "\nevery pixel is void, so nothing could be judged: look at --ignore and --classes",
            style="red",
        )
        return text
    absent = [scores.name for scores in scores.per_class if scores.support == 0]
    if absent:
        text.append(f"\nabsent from the truth: {', '.join(absent)}", style="yellow")
    return text


def _near_contours(boundary: BoundaryScores) -> Text:
    """The mean IoU within the narrowest and the widest band."""
    (narrow, first), *_, (wide, last) = boundary.trimap.items()
    text = Text().append(f"{f'trimap mIoU, {narrow} px':24}", style="dim")
    text.append(f"{_percent(first):>6}", style="bold")
    return text.append(f"  ({wide} px: {_percent(last)})\n")


def _by_size(boundary: BoundaryScores) -> Text:
    """The mean recall of the true regions of each size."""
    text = Text()
    for row in boundary.sizes:
        text.append(f"{'recall ' + size_in_words(row):24}", style="dim")
        text.append(f"{_percent(row.mean_recall):>6}", style="bold")
        text.append(f"  (IoU {_percent(row.miou)}; regions {row.regions:,})\n")
    return text


def _name(evaluation: Evaluation, position: int, scores: ClassScores) -> Text:
    red, green, blue = evaluation.taxonomy.categories[position].color
    swatch = Text("■ ", style=f"rgb({red},{green},{blue})")
    return swatch + Text(scores.name + (" (absent)" if scores.support == 0 else ""))


def _percent(value: float) -> str:
    return "-" if isnan(value) else f"{100 * value:.1f}"


def _interval(interval: Interval) -> str:
    return "-" if isnan(interval.low) else f"{100 * interval.low:.1f} .. {100 * interval.high:.1f}"


def _share(pixels: int, judged: int) -> str:
    return f"{100 * pixels / judged:.2f}" if judged else "-"
