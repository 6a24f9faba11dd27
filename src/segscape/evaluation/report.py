"""The report: one HTML file that holds everything and asks nothing of the network."""

from datetime import datetime
from math import isnan
from pathlib import Path

from segscape import __version__
from segscape.evaluation import charts, report_views
from segscape.evaluation.curves import training_charts
from segscape.evaluation.evaluation import Evaluation
from segscape.evaluation.pages import template, write_page
from segscape.visualize.overlay import WRONG_COLOR

TEMPLATE = "report.html.jinja"


def write_report(
    path: Path, evaluation: Evaluation, *, title: str = "Evaluation", run: Path | None = None
) -> None:
    """Write the report of an evaluation, complete or not at all.

    Args:
        path: the HTML file; replaced when it exists.
        evaluation: what to show.
        title: what was judged on what, as `camvid on val`.
        run: the run folder, whose journal gives the training curves and whose `recipe.yaml` is
            shown.

    Raises:
        OutputError: when the file cannot be written.
    """
    write_page(path, lambda longest: render(evaluation, title=title, run=run, longest_side=longest))


def render(
    evaluation: Evaluation, *, title: str, run: Path | None = None, longest_side: int = 480
) -> str:
    """The page as text; every name from outside is escaped."""
    everything = evaluation.judged_pixels + evaluation.void_pixels
    intervals, calibration = evaluation.intervals, evaluation.calibration
    return template(TEMPLATE).render(
        title=title,
        version=__version__,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        evaluation=evaluation,
        judged=evaluation.judged_pixels,
        void_share=evaluation.void_pixels / everything if everything else 0.0,
        level=None if intervals is None else f"{intervals.level:.0%}",
        why_no_intervals=evaluation.why_no_intervals,
        headline=report_views.headline(evaluation),
        categories=report_views.category_rows(evaluation),
        matrix=report_views.matrix_view(evaluation),
        confusions=report_views.confusions(evaluation),
        trimap_chart=report_views.trimap_chart(evaluation.boundary),
        trimap=report_views.trimap_numbers(evaluation.boundary),
        sizes=report_views.size_rows(evaluation.boundary),
        cells=report_views.cell_rows(evaluation.cells),
        histogram=report_views.histogram(evaluation),
        worst=report_views.gallery(evaluation.worst, longest_side),
        best=report_views.gallery(evaluation.best, longest_side),
        wrong_color=WRONG_COLOR,
        image_rows=report_views.image_rows(evaluation),
        images_left_out=evaluation.images > report_views.MOST_IMAGE_ROWS,
        reliability=report_views.reliability_view(calibration),
        calibration_error=(
            None
            if calibration is None or isnan(calibration.expected_calibration_error)
            else calibration.expected_calibration_error
        ),
        charts=[] if run is None else training_charts(run),
        chart_width=charts.WIDTH,
        chart_height=charts.HEIGHT,
        chart_left=charts.LEFT,
        model_facts=report_views.fact_pairs(evaluation.model),
        data_facts=report_views.fact_pairs(evaluation.data),
        speed_facts=_speed(evaluation),
        environment_facts=report_views.fact_pairs(evaluation.environment),
        recipe=None if run is None else _text(run / "recipe.yaml"),
    )


def _speed(evaluation: Evaluation) -> list[tuple[str, str]]:
    speed = evaluation.speed
    return [
        ("seconds per image", f"{speed.mean_seconds:.4g} (median {speed.median_seconds:.4g})"),
        ("images per second", f"{1 / speed.mean_seconds:.3g}" if speed.mean_seconds else "-"),
        ("whole evaluation", f"{speed.total_seconds:.1f} s, reading of files included"),
    ]


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return None
