"""What `segscape evaluate --method` prints: a row of numbers for each setting."""

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.table import Table

from segscape.evaluation.method_scores import MethodScores, SettingScores


def agreement_table(scores: MethodScores, title: str) -> Table:
    """Regions and boundaries against all annotators, and the best over all settings."""
    table = _table(title, ("cover", "PRI", "VI", "prec", "recall", "F", "s"))
    table.caption = "cover: covering; VI: variation of information in bits; s: seconds an image"
    for name, setting in scores.settings.items():
        table.add_row(name, *_agreement(setting), f"{setting.seconds:.2g}")
    family = scores.family
    if len(scores.settings) > 1:
        table.add_section()
        best = family.boundaries_ods
        table.add_row(
            "ODS",
            f"{family.covering_ods:.3f}",
            f"{family.rand_index_ods:.3f}",
            f"{family.variation_of_information_ods:.3f}",
            *(f"{value:.3f}" for value in (best.precision, best.recall, best.f)),
        )
        best = family.boundaries_ois
        table.add_row(
            "OIS",
            f"{family.covering_ois:.3f}",
            f"{family.rand_index_ois:.3f}",
            f"{family.variation_of_information_ois:.3f}",
            *(f"{value:.3f}" for value in (best.precision, best.recall, best.f)),
        )
        table.add_row("Best", f"{family.covering_best:.3f}")
    return table


def _agreement(setting: SettingScores) -> list[str]:
    regions, boundaries = setting.agreement.regions, setting.agreement.boundaries
    values = (
        regions.covering,
        regions.rand_index,
        regions.variation_of_information,
        boundaries.precision,
        boundaries.recall,
        boundaries.f,
    )
    return [f"{value:.3f}" for value in values]


def superpixel_table(scores: MethodScores) -> Table:
    """The settings' regions as superpixels."""
    headings = ("regions", "recall", "UE", "Levin", "ASA", "CO", "EV")
    table = _table("as superpixels, the worst annotator of each image", headings)
    table.caption = (
        "UE, Levin: undersegmentation error, and Levinshtein's; ASA: achievable segmentation"
        " accuracy; CO: compactness; EV: explained variation"
    )
    for name, setting in scores.settings.items():
        found = setting.superpixels
        levin = found.undersegmentation_error_levin
        table.add_row(
            name,
            f"{found.count:.0f}",
            f"{found.boundary_recall:.3f}",
            f"{found.undersegmentation_error:.3f}",
            f"{levin:,.0f}" if levin >= 100 else f"{levin:.3g}",
            f"{found.achievable_segmentation_accuracy:.3f}",
            f"{found.compactness:.3f}",
            f"{found.explained_variation:.3f}",
        )
    return table


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    # Folded where there is no room: a setting cut short could not be told from its neighbours.
    table.add_column("setting", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
