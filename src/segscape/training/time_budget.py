"""From minutes to steps: what fits into a time on this machine is measured, not guessed."""

from time import perf_counter

from lightning_fabric import Fabric

from segscape.structures import RecipeError
from segscape.training.assembly import assemble
from segscape.training.data_sets import Sets
from segscape.training.optimizer_step import take_step
from segscape.training.recipe import Recipe, Training
from segscape.training.validation import validate

# The first steps of a process are slow: memory is fetched, kernels are chosen.
_WARM_UP = 3
_TIMED = 6
_IMAGES = 4


def within_minutes(recipe: Recipe, fabric: Fabric, sets: Sets) -> Recipe:
    """The recipe with the steps that its minutes allow, evaluations counted.

    A few steps and images are tried on a network that is then thrown away, so the run itself is
    the same as one that was asked for by steps.

    Raises:
        RecipeError: on several processes, whose speeds one cannot know of the others.
        SegscapeError: when a part cannot be built, a file not be read, or the loss is not finite.
    """
    training = recipe.training
    if fabric.world_size > 1:
        raise RecipeError(
            "training.minutes: is measured on one process, here are "
            f"{fabric.world_size}: give training.steps or training.epochs"
        )
    tried = _of_steps(recipe, _WARM_UP + _TIMED)
    step, evaluation = _measured(tried, fabric, sets)
    steps = steps_that_fit(
        training, images=len(sets.train), step_seconds=step, evaluation_seconds=evaluation
    )
    return _of_steps(recipe, steps)


def steps_that_fit(
    training: Training, *, images: int, step_seconds: float, evaluation_seconds: float
) -> int:
    """The steps that `training.minutes` hold together with their evaluations; at least one.

    Args:
        training: its minutes, batch and `evaluate_every` count.
        images: of the training data.
        step_seconds: of one optimizer step.
        evaluation_seconds: of one evaluation.

    >>> training = Training(minutes=1, batch_size=10, evaluate_every=2)
    >>> steps_that_fit(training, images=100, step_seconds=1.0, evaluation_seconds=5.0)
    44
    """
    # An evaluation after each `evaluate_every` epochs and one at the end.
    steps_between = training.evaluate_every * images / (training.batch_size * training.accumulate)
    seconds = 60 * (training.minutes or 0.0) - evaluation_seconds
    return max(1, int(seconds / (step_seconds + evaluation_seconds / steps_between)))


def _of_steps(recipe: Recipe, steps: int) -> Recipe:
    training = recipe.training.model_copy(update={"minutes": None, "steps": steps})
    return recipe.model_copy(update={"training": training})


def _measured(recipe: Recipe, fabric: Fabric, sets: Sets) -> tuple[float, float]:
    """Seconds of a step and of an evaluation."""
    parts = assemble(recipe, fabric, sets)
    loader = parts.loader(0)
    try:
        for step in range(_WARM_UP):
            take_step(parts, loader, step)
        began = perf_counter()
        for step in range(_WARM_UP, _WARM_UP + _TIMED):
            take_step(parts, loader, step)
        step_seconds = (perf_counter() - began) / _TIMED
    finally:
        loader.close()
    image_seconds = 0.0
    for _ in range(2):  # the first round warms up
        began = perf_counter()
        validate(
            parts.judged,
            sets.val,
            device=fabric.device,
            precision=fabric.autocast(),
            channels_last=recipe.training.channels_last is True,
            limit=_IMAGES,
        )
        image_seconds = (perf_counter() - began) / min(_IMAGES, len(sets.val))
    return step_seconds, image_seconds * len(sets.val)
