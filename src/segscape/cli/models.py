"""`segscape models`: what can be trained."""

import json as json_text
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

# Parameters depend a little on the number of categories; Pascal VOC's is what papers count with.
CATEGORIES = 21
GLOBAL = "image"


def models(
    names: Annotated[list[str] | None, typer.Argument(help="Only these.")] = None,
    task: Annotated[str | None, typer.Option(help="Only those of this task, as semantic.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the networks: task, paper, parameters, strides, receptive field at default options.

    Parameters are counted for 21 categories. Strides are those of the maps that meet in the
    network, finest first. The receptive field, in the column `sees`, is the side in pixels of the
    square that a pixel's logits read, or "image" where they read all of it.
    """
    rows = _rows(names or [], task)
    if json:
        typer.echo(json_text.dumps(rows, indent=2))
        return
    tasks = sorted({row["task"] for row in rows})
    title = f"{', '.join(tasks)}; sees: side of the receptive field in pixels"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", no_wrap=True)  # a name cut short cannot be typed
    table.add_column("paper")
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("strides", no_wrap=True)
    table.add_column("sees", justify="right", no_wrap=True)
    for row in rows:
        strides = " ".join(str(stride) for stride in row["strides"])
        field = row["receptive_field"]
        sees = field if field == GLOBAL else f"{field:,}"
        table.add_row(row["name"], row["paper"], f"{row['parameters']:,}", strides, sees)
    Console().print(table)


def _rows(names: list[str], task: str | None) -> list[dict[str, Any]]:
    from segscape.models import MODELS, model_options
    from segscape.structures import RecipeError

    tasks = sorted({entry.task for entry in MODELS.values()})
    if task is not None and task not in tasks:
        raise RecipeError(f"no model has the task '{task}': choose one of {', '.join(tasks)}")
    for name in names:
        model_options(name)  # refuses what it does not know
    asked = [
        name
        for name, entry in MODELS.items()
        if task in (None, entry.task) and (not names or name in names)
    ]
    # Only a terminal shows it: what is piped holds nothing else.
    console = Console(stderr=True)
    building = track(
        asked, "building", console=console, transient=True, disable=not console.is_terminal
    )
    return [_row(name) for name in building]


def _row(name: str) -> dict[str, Any]:
    import torch

    from segscape.models import MODELS, build_model
    from segscape.models.receptive_field import default_field_sides
    from segscape.structures import Taxonomy

    taxonomy = Taxonomy.from_names([f"category {index}" for index in range(CATEGORIES)])
    with torch.device("meta"):  # shapes without numbers
        model = build_model(name, taxonomy, {})
    return {
        "name": name,
        "task": MODELS[name].task,
        "paper": MODELS[name].paper,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "strides": list(model.strides),
        "receptive_field": default_field_sides()[name] or GLOBAL,
    }
