"""What the entries of a recipe stand for: transforms, losses, optimizer, schedule."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from segscape.datasets.dataset import Dataset
from segscape.losses import LOSSES
from segscape.models import MODELS, option_values
from segscape.models.model_files import ORIGINS
from segscape.models.semantic_model import WeightedLoss
from segscape.ops.class_weights import RULES, class_weights
from segscape.ops.processes import alone
from segscape.structures import LabelMap, RecipeError, SegscapeError
from segscape.training.entries import checked_options, look_up, nearest, under
from segscape.training.optimizer import OPTIMIZERS, OptimizerRule
from segscape.training.recipe import LossEntry, Recipe
from segscape.training.schedule import SCHEDULES, Schedule
from segscape.transforms import TRANSFORMS, Transform

T = TypeVar("T")
# What the model hands to every loss, and so is no option of a recipe.
_SUPPLIED = ("logits", "labels", "ignore_id", "pixel_weights")
_WEIGHTS = "class_weights"


def check_recipe(recipe: Recipe) -> None:
    """Refuse names and options that no table knows, before anything is opened or written.

    Raises:
        SegscapeError: naming the key path and the nearest known name or the cure.
    """
    look_up("model", recipe.model.name, MODELS)
    option_values(recipe.model.name, recipe.model.options)
    _refuse_freezing_chance(recipe)
    recipe_transforms(recipe)
    recipe_optimizer(recipe)
    recipe_schedule(recipe)
    for place, entry in enumerate(recipe.losses):
        _checked_loss(f"losses.{place}", entry)


def recipe_transforms(recipe: Recipe) -> tuple[Transform, ...]:
    """The transforms of a recipe.

    Raises:
        SegscapeError: for an unknown name or option, or a value out of range.
    """
    return tuple(
        _built(f"transforms.{place}", entry.name, entry.options, TRANSFORMS)
        for place, entry in enumerate(recipe.transforms)
    )


def recipe_optimizer(recipe: Recipe) -> OptimizerRule:
    """The optimizer's options.

    Raises:
        RecipeError: for an unknown name or option.
    """
    return _built("optimizer", recipe.optimizer.name, recipe.optimizer.options, OPTIMIZERS)


def recipe_schedule(recipe: Recipe) -> Schedule:
    """The schedule of a recipe.

    Raises:
        RecipeError: for an unknown name or option.
    """
    return _built("schedule", recipe.schedule.name, recipe.schedule.options, SCHEDULES)


def recipe_losses(
    recipe: Recipe, dataset: Dataset[LabelMap], device: torch.device
) -> tuple[WeightedLoss, ...]:
    """The terms of the loss; a rule for class weights is applied to the labels of the data set.

    Args:
        recipe: checked.
        dataset: the training images; all are read when a rule needs their labels.
        device: where the weights will be used.

    Raises:
        SegscapeError: for an unknown name or option, or a file that cannot be read.
    """
    terms: list[WeightedLoss] = []
    counts: tuple[Tensor, Tensor] | None = None
    for place, entry in enumerate(recipe.losses):
        path = f"losses.{place}"
        options = _checked_loss(path, entry)
        weights = options.get(_WEIGHTS)
        if isinstance(weights, str):
            counts = counts or label_counts(dataset)
            options[_WEIGHTS] = class_weights(counts[0], weights, image_counts=counts[1]).to(device)
        elif weights is not None:
            options[_WEIGHTS] = _listed_weights(path, weights, len(dataset.taxonomy)).to(device)
        terms.append(WeightedLoss(entry.name, partial(LOSSES[entry.name], **options), entry.weight))
    return tuple(terms)


def label_counts(
    dataset: Dataset[LabelMap],
) -> tuple[Int64[Tensor, "category"], Int64[Tensor, "category"]]:
    """Pixels of each category, and pixels, ignored ones too, of the images that contain it.

    Raises:
        SegscapeError: of a file that cannot be read.
    """
    categories = len(dataset.taxonomy)

    def count(index: int) -> tuple[Tensor, int]:
        target = dataset[index].target
        kept = target.labels[~target.ignored()].long()
        return torch.bincount(kept, minlength=categories), target.labels.numel()

    pixels = torch.zeros(categories, dtype=torch.int64)
    image_pixels = torch.zeros(categories, dtype=torch.int64)
    with ThreadPoolExecutor(4) as readers:
        for found, size in readers.map(count, range(len(dataset))):
            pixels += found
            image_pixels += torch.where(found > 0, size, 0)
    return pixels, image_pixels


def _refuse_freezing_chance(recipe: Recipe) -> None:
    """Statistics of no images would switch batch normalisation off, not hold it."""
    origins = [recipe.weights, *(recipe.model.options.get(key) for key in ORIGINS)]
    if recipe.training.freeze_batch_norm and not any(origins):
        raise RecipeError(
            "training.freeze_batch_norm: the network begins at random, with statistics of no "
            "images: give model.weights or weights to begin with, or leave it out"
        )


def _checked_loss(path: str, entry: LossEntry) -> dict[str, Any]:
    function = look_up(path, entry.name, LOSSES)
    options = checked_options(path, entry.options, function, supplied=_SUPPLIED)
    rule = options.get(_WEIGHTS)
    if isinstance(rule, str) and rule not in RULES:
        raise RecipeError(f"{path}.{_WEIGHTS}: no rule '{rule}': {nearest(rule, RULES)}")
    tried = {key: value for key, value in options.items() if key != _WEIGHTS}
    try:
        with alone():  # losses judge their options when they are called
            function(torch.zeros(1, 2, 1, 1), torch.zeros(1, 1, 1, dtype=torch.int64), **tried)
    except SegscapeError as error:
        raise under(path, tried, error) from error
    return options


def _listed_weights(path: str, weights: object, categories: int) -> Float[Tensor, "category"]:
    numbers = list(weights) if isinstance(weights, list | tuple) else []
    if len(numbers) != categories or not all(
        isinstance(weight, int | float) and weight >= 0 for weight in numbers
    ):
        raise RecipeError(
            f"{path}.{_WEIGHTS}: got {weights!r}, expected a rule ({', '.join(RULES)}) or "
            f"{categories} numbers of 0 or more, one per category"
        )
    return torch.tensor([float(weight) for weight in numbers])


def _built(
    path: str, name: str, options: dict[str, Any], table: Mapping[str, Callable[..., T]]
) -> T:
    kind = look_up(path, name, table)
    values = checked_options(path, options, kind)
    try:
        return kind(**values)
    except SegscapeError as error:
        raise under(path, options, error) from error
