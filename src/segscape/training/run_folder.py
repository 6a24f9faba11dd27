"""The folder of a run: made new, or found again to be continued."""

from pathlib import Path

from segscape.io.atomic import atomic_file
from segscape.structures import OutputError, RecipeError
from segscape.training.checkpoint import refuse_another
from segscape.training.hardware import HardwareChoice
from segscape.training.recipe import Recipe, read_recipe
from segscape.training.recipe_text import RECIPE_FILE

MODEL = "model"


def refuse_existing(run: Path, *, resume: bool) -> None:
    """Refuse a folder that holds something else than the run to be continued.

    Raises:
        OutputError: naming the cure.
    """
    if not run.exists():
        return
    if not run.is_dir():
        raise OutputError(f"{run}: is a file, a run needs a folder: choose another --out")
    begun = (run / RECIPE_FILE).exists()
    filled = any(not child.name.startswith(".part") for child in run.iterdir())
    if begun and not resume:
        raise OutputError(
            f"{run}: holds a run already: continue it with --resume, or choose another --out"
        )
    if filled and not begun:
        raise OutputError(f"{run}: exists and is no run folder: choose another --out")


def saved_recipe(run: Path) -> Recipe | None:
    """The recipe of a run that was begun, with what was decided on its first day; else None.

    Raises:
        RecipeError: when the saved recipe is damaged.
    """
    return read_recipe(run) if (run / RECIPE_FILE).is_file() else None


def settled(asked: Recipe, saved: Recipe, run: Path) -> Recipe:
    """The asked recipe with what the run decided where it leaves a choice.

    Raises:
        CheckpointError: when the asked recipe is another than the saved one.
    """
    decided = {
        key: getattr(saved.training, key)
        for key in ("precision", "channels_last")
        if getattr(asked.training, key) == "auto"
    }
    if asked.training.minutes is not None:
        decided |= {"minutes": None, "steps": saved.training.steps}
    recipe = asked.model_copy(update={"training": asked.training.model_copy(update=decided)})
    refuse_another(run, saved.outcome(), recipe.outcome())
    return recipe


def decided(asked: Recipe, choice: HardwareChoice) -> Recipe:
    """The asked recipe with what was measured on this machine where it leaves a choice."""
    training = asked.training
    update = {
        "precision": choice.precision if training.precision == "auto" else training.precision,
        "channels_last": choice.channels_last
        if training.channels_last == "auto"
        else training.channels_last,
    }
    return asked.model_copy(update={"training": training.model_copy(update=update)})


def begin(run: Path, recipe: Recipe) -> None:
    """Make the folder and write its recipe; one that continues keeps both.

    Raises:
        OutputError: when it cannot be written.
        RecipeError: when the recipe does not survive being written.
    """
    if saved_recipe(run) is not None:
        return
    text = recipe.to_yaml()
    with atomic_file(run / RECIPE_FILE) as temporary:
        temporary.write_text(text, "utf-8")
    if read_recipe(run) != recipe:
        raise RecipeError(f"{run / RECIPE_FILE}: reads back as another recipe: give plain values")
