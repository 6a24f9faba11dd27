"""How well cells are told apart, as a table in the terminal."""

from math import inf, isnan

from rich import box
from rich.table import Table
from rich.text import Text

from segscape.evaluation.cells import CellAgreement, CellNumbers

# With it the table is 80 columns wide at most.
LONGEST_NAME = 16
MOST_IMAGES = 30


def cell_table(cells: CellAgreement) -> Table:
    """One row per image, those of the lowest V^Rand first, and one for all."""
    worst = sorted(cells.per_image.items(), key=_rank)[:MOST_IMAGES]
    shown = f"; the {MOST_IMAGES} worst of {len(cells.per_image)} images"
    # Text, not str: names may hold square brackets, which rich would read as markup.
    table = Table(
        title=Text(
            f"\npieces of {cells.category}, in %"
            + (shown if len(worst) < len(cells.per_image) else "")
        ),
        caption=Text("all: mean over images with cells; warping over all pixels"),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("image", no_wrap=True, max_width=LONGEST_NAME, overflow="ellipsis")
    for name in ("V^Rand", "split", "merge", "V^Info", "split", "merge", "warping"):
        table.add_column(name, justify="right", no_wrap=True)
    for key, numbers in worst:
        table.add_row(Text(key), *_percents(numbers))
    table.add_section()
    table.add_row("all", *_percents(cells.overall), style="bold")
    return table


def _rank(image: tuple[str, CellNumbers]) -> tuple[float, str]:
    key, numbers = image
    return (inf if isnan(numbers.scores.rand) else numbers.scores.rand, key)


def _percents(numbers: CellNumbers) -> list[str]:
    of = numbers.scores
    shares = [of.rand, of.rand_split, of.rand_merge]
    shares += [of.information, of.information_split, of.information_merge]
    return [_percent(share, 2) for share in shares] + [_percent(numbers.warping_error, 4)]


def _percent(value: float, digits: int) -> str:
    return "-" if isnan(value) else f"{100 * value:.{digits}f}"
