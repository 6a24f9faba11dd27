"""`segscape check`: the data doctor on the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from segscape.datasets.doctor import Diagnosis


def check(
    data: Annotated[
        str,
        typer.Argument(
            help="LAYOUT:FOLDER, FOLDER alone, or synthetic:count=400. Layouts: folder, voc, "
            "cityscapes.",
            show_default=False,
        ),
    ],
    split: Annotated[
        list[str] | None, typer.Option(help="A split to read; may be repeated. Default: all.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="File of classes; the data set's own when not given.")
    ] = None,
    ignore: Annotated[
        list[int] | None, typer.Option(help="An id in the masks that means void; may be repeated.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of tables.")
    ] = False,
) -> None:
    """Examine a data set before training: ids, pairs, sizes, duplicates, balance.

    Leaves with 0 when training can start, 1 when it would go wrong, 2 when there is nothing to
    examine.
    """
    from rich.console import Console

    from segscape.datasets.doctor import examine

    with Console(stderr=True).status("reading images and masks ..."):
        diagnosis = examine(data, splits=split or (), classes=classes, ignore=ignore or ())
    if json:
        from json import dumps

        typer.echo(dumps(diagnosis.to_mapping(), indent=2))
    else:
        _show(diagnosis)
    if not diagnosis.is_healthy:
        raise typer.Exit(1)


def _show(diagnosis: "Diagnosis") -> None:
    from rich.console import Console

    from segscape.cli.check_tables import class_table, finding_lines, summary_lines, verdict

    console = Console()
    # Wide terminals get no wider tables: the eye loses the row.
    width = min(console.width, 100)
    console.print()
    for part in (
        *summary_lines(diagnosis),
        class_table(diagnosis, width),
        *finding_lines(diagnosis),
        verdict(diagnosis),
    ):
        console.print(part, width=width)
