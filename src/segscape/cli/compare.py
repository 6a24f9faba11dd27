"""`segscape compare`: several runs side by side on the same images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from segscape.evaluation.comparison import Entrant


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Two or more run or model folders; the first is the reference."),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            help="LAYOUT:ROOT of the images; those the first run was validated on if left out."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Which split; the first run's validation split, or val.")
    ] = None,
    report: Annotated[Path, typer.Option(help="Where the HTML page goes.")] = Path("compare.html"),
    json: Annotated[
        Path | None, typer.Option(help="Also write all numbers to this JSON file.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="A file that says what the ids in the masks mean.")
    ] = None,
    ignore: Annotated[
        list[int] | None, typer.Option(help="An id in the masks that means void; may be repeated.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ... or auto.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="fp32, bf16, or auto for bf16 where it is faster.")
    ] = "auto",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Judge only so many of the first images.")
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, help="How many images to show, those that the runs differ on.")
    ] = 4,
) -> None:
    """Judge several runs on the same images and set them side by side in one HTML page."""
    from rich.console import Console

    from segscape.cli import judging
    from segscape.cli.compare_table import compare_table
    from segscape.cli.judged_data import judged_data
    from segscape.cli.outputs import refuse_folder
    from segscape.cli.patience import judging_bar
    from segscape.evaluation.comparison import compare as judge
    from segscape.evaluation.comparison_page import write_comparison
    from segscape.training.recipe import read_recipe

    runs = [run.resolve() for run in runs]
    for path in (report, json):
        refuse_folder(path)
    names = _names(runs)
    entrants = [
        _entrant(run, name, device, precision) for run, name in zip(runs, names, strict=True)
    ]
    first = read_recipe(runs[0]) if (runs[0] / "recipe.yaml").is_file() else None
    judged = judged_data(first, data, split, classes, ignore or ())
    facts = {"data": judged.spec, "split": judged.split, "images": len(judged.dataset)}
    console = Console()
    with judging_bar(console) as update:
        comparison = judge(
            entrants,
            judged.dataset,
            examples=examples,
            limit=limit,
            data=facts | {"judged": "all" if limit is None else f"the first {limit}"},
            progress=update,
        )
    title = f"{judged.name}, {judged.split}"
    write_comparison(report, comparison, title=title)
    if json is not None:
        judging.write_json(json, comparison.to_json())
    console.print(compare_table(comparison, title))
    if comparison.why_no_intervals:
        console.print(comparison.why_no_intervals)
    for name, path in (("report", report), ("json", json)):
        if path is not None:
            console.print(f"{name:8} {path}", markup=False, highlight=False, soft_wrap=True)


def _names(runs: list[Path]) -> list[str]:
    """The last part of each path that tells it from the others, without `model`.

    >>> _names([Path("a/x"), Path("b/x/model"), Path("c/y")])
    ['a/x', 'b/x', 'c/y']
    >>> _names([Path("runs/x"), Path("runs/y")])
    ['x', 'y']
    """
    parts = [run.parent.parts if run.name == "model" else run.parts for run in runs]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [str(Path(*one)) for one in parts]


def _entrant(run: Path, name: str, device: str, precision: str) -> "Entrant":
    from segscape.cli import judging
    from segscape.cli.joined_runs import ensemble_of
    from segscape.evaluation.comparison import Entrant
    from segscape.inference.run_folder import model_folder
    from segscape.models.model_files import read_description, read_taxonomy
    from segscape.training.recipe import read_recipe

    folder = model_folder(run)
    description = read_description(folder)
    recipe = read_recipe(run) if (run / "recipe.yaml").is_file() else None
    return Entrant(
        name=name,
        open=lambda: judging.open_segmenter(
            run,
            recipe,
            device=device,
            precision=precision,
            ensemble=None
            if recipe is None
            else ensemble_of(recipe.prediction, None, None, device, precision),
        ),
        taxonomy=read_taxonomy(folder, description),
        architecture=str(description["name"]),
    )
