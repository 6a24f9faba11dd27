"""`segscape train`: from a recipe to a run folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from segscape.training.recipe import Recipe


def train(
    recipe: Annotated[
        str,
        typer.Argument(help="A shipped recipe by name, a YAML file, or a run folder to repeat."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="dotted.key=value, as training.epochs=2 data.train=folder:photos "
            "transforms.0.height=256"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder to make; runs/RECIPE if left out.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a stopped run, to the same bits.")
    ] = False,
    check: Annotated[
        bool, typer.Option(help="Examine the data first and refuse what would go wrong.")
    ] = True,
) -> None:
    """Train a recipe.

    On several processes: torchrun --nproc-per-node N -m segscape.cli.main train ...
    """
    from segscape.training.interruption import Interrupted
    from segscape.training.loop import train as train_recipe
    from segscape.training.parts import check_recipe
    from segscape.training.recipe import read_recipe

    wanted = read_recipe(recipe, overrides or [])
    # A run folder may be named in place of its recipe: resuming it then needs no more words.
    itself = resume and Path(recipe).is_dir()
    run = out or (Path(recipe) if itself else Path("runs") / Path(recipe).stem)
    check_recipe(wanted)
    if check and not resume:
        _examine(wanted)
    if resume and not run.exists():
        _say(f"{run}: nothing to continue, a new run begins")
    try:
        trained = train_recipe(wanted, run, resume=resume)
    except Interrupted as stop:
        _say(f"stopped by {stop}, saved; to go on: segscape train {run} --resume")
        raise typer.Exit(stop.exit_code) from None
    best = trained.progress.best_miou
    score = "no category could be judged" if best is None else f"mIoU {best:.4f}"
    if trained.was_finished:
        _say(f"{run}: finished already after {trained.progress.step} steps, best {score}")
    else:
        _say(f"{run}: finished, best {score} after step {trained.progress.best_step}")
    _say(f"judge it:  segscape evaluate {run}")
    _say(f"use it:    segscape predict {run} IMAGES --out masks")


def _examine(recipe: "Recipe") -> None:
    """Refuse data with which training would go wrong; drawn scenes need no doctor.

    Raises:
        DatasetError: for the worst finding, with its cure.
    """
    from segscape.datasets.doctor import examine

    data = recipe.data
    classes = Path(data.classes) if isinstance(data.classes, str) else data.classes
    if data.val in (None, data.train):
        asked = [(data.train, (data.train_split, data.val_split))]
    else:
        asked = [(data.train, (data.train_split,)), (data.val or "", (data.val_split,))]
    for spec, splits in asked:
        if spec.startswith("synthetic:"):
            continue
        diagnosis = examine(spec, splits=splits, classes=classes, ignore=data.ignore, quick=True)
        diagnosis.refuse_errors()
        if diagnosis.findings:
            number = len(diagnosis.findings)
            remarks = "1 remark" if number == 1 else f"{number} remarks"
            _say(f"{spec}: {remarks}: segscape check {spec} shows them")


def _say(text: str) -> None:
    """Print once, not once per process."""
    if os.environ.get("RANK", "0") == "0":
        typer.echo(text)
