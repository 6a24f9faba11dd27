"""`segscape models`: what can be trained."""

import json as json_text
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

# Parameters depend a little on the number of categories; Pascal VOC's is what papers count with.
CATEGORIES = 21


def models(
    task: Annotated[
        str | None, typer.Option(help="Only those of this task: semantic, instance, panoptic.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the networks at their default options: task, paper, parameters, strides.

    Parameters are counted for 21 categories. Strides are those of the maps that meet in the
    network, finest first.

    Raises:
        RecipeError: when no network has this task.
    """
    rows = _rows(task)
    if json:
        typer.echo(json_text.dumps(rows, indent=2))
        return
    table = Table("name", "task", "paper", "parameters", "strides")
    table.columns[0].no_wrap = True  # a name cut short cannot be typed
    table.columns[3].justify = "right"
    for row in rows:
        strides = " ".join(str(stride) for stride in row["strides"])
        table.add_row(row["name"], row["task"], row["paper"], f"{row['parameters']:,}", strides)
    Console().print(table)


def _rows(task: str | None) -> list[dict[str, Any]]:
    import torch

    from segscape.models import MODELS, build_model
    from segscape.structures import RecipeError, Taxonomy

    tasks = sorted({entry.task for entry in MODELS.values()})
    if task is not None and task not in tasks:
        raise RecipeError(f"no model has the task '{task}': choose one of {', '.join(tasks)}")
    taxonomy = Taxonomy.from_names([f"category {index}" for index in range(CATEGORIES)])
    rows: list[dict[str, Any]] = []
    for name, entry in MODELS.items():
        if task in (None, entry.task):
            with torch.device("meta"):  # shapes without numbers
                model = build_model(name, taxonomy, {})
            rows.append(
                {
                    "name": name,
                    "task": entry.task,
                    "paper": entry.paper,
                    "parameters": sum(parameter.numel() for parameter in model.parameters()),
                    "strides": list(model.strides),
                }
            )
    return rows
