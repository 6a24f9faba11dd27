"""What a recipe's losses become."""

import inspect
import math
import re
from functools import partial
from typing import Any

import pytest
import torch
from tests.support.stand_in_segmenter import numbered
from tests.support.training_runs import tiny_recipe

from segscape.datasets.synthetic import SyntheticSemantic
from segscape.losses import LOSSES
from segscape.models.semantic_model import WeightedLoss
from segscape.ops.class_weights import class_weights
from segscape.structures import RecipeError, Size, Taxonomy
from segscape.training.entries import checked_options
from segscape.training.optimizer import OPTIMIZERS
from segscape.training.parts import check_recipe, label_counts, recipe_losses
from segscape.training.recipe import Recipe
from segscape.training.schedule import SCHEDULES
from segscape.transforms import TRANSFORMS

SCENES = SyntheticSemantic(4, size=Size(40, 48))


def _losses(*entries):
    recipe = tiny_recipe()
    kind = type(recipe.losses[0])
    changed = recipe.model_copy(
        update={"losses": tuple(kind.model_validate(entry) for entry in entries)}
    )
    return recipe_losses(changed, SCENES, torch.device("cpu"))


def _options(term: WeightedLoss) -> dict[str, Any]:
    assert isinstance(term.function, partial)
    return term.function.keywords


def test_counts_equal_brute_force():
    pixels, image_pixels = label_counts(SCENES)
    for category in range(len(SCENES.taxonomy)):
        found = [int((s.target.labels == category).sum()) for s in (SCENES[i] for i in range(4))]
        assert int(pixels[category]) == sum(found)
        assert int(image_pixels[category]) == sum(40 * 48 for count in found if count)


def test_void_counts_for_an_image_and_for_no_category():
    """As `segscape check` counts: Eigen and Fergus divide by the pixels of the images."""
    labels = torch.tensor([[0, 0, 255], [1, 255, 255]], dtype=torch.uint8)
    taxonomy = Taxonomy.from_names(["a", "b", "c"])
    pixels, image_pixels = label_counts(numbered([labels], taxonomy))
    assert pixels.tolist() == [2, 1, 0]
    assert image_pixels.tolist() == [6, 6, 0]


def test_rules_and_numbers_become_class_weights():
    categories = len(SCENES.taxonomy)
    numbers = [float(i) for i in range(categories)]
    by_rule, by_numbers, plain = _losses(
        {"name": "cross_entropy", "class_weights": "median_frequency", "weight": 0.5},
        {"name": "cross_entropy", "class_weights": numbers},
        {"name": "dice", "smooth": 2.0},
    )
    counts, image_counts = label_counts(SCENES)
    expected = class_weights(counts, "median_frequency", image_counts=image_counts)
    assert torch.equal(_options(by_rule)["class_weights"], expected)
    assert by_rule.weight == 0.5
    assert _options(by_numbers)["class_weights"].tolist() == numbers
    assert _options(plain) == {"smooth": 2.0}


@pytest.mark.parametrize("weights", [[1.0, 2.0], [-1.0] * 12, 3, ["a"] * 12])
def test_wrong_weights_are_refused(weights):
    with pytest.raises(RecipeError, match=r"losses\.0\.class_weights: got .*expected a rule"):
        _losses({"name": "cross_entropy", "class_weights": weights})


def test_missing_options_are_named():
    def needs(height: int, *, width: int = 3) -> None: ...

    assert checked_options("here", {"height": "7"}, needs) == {"height": 7}
    with pytest.raises(RecipeError, match=r"here\.height: missing"):
        checked_options("here", {}, needs)


def test_every_loss_can_be_named_with_its_options():
    terms = _losses(
        {"name": "boundary", "weight": 0.01},
        {"name": "focal", "gamma": 1.5, "class_weights": "enet"},
        {"name": "jaccard", "per_image": True},
        {"name": "lovasz_softmax", "present_only": False},
        {"name": "ohem_cross_entropy", "threshold": 0.6, "min_kept": 50, "class_weights": "enet"},
        {"name": "tversky", "alpha": 0.3, "beta": 0.7, "gamma": 1.25},
    )
    sample = SCENES[0]
    logits = torch.zeros(1, len(SCENES.taxonomy), *sample.size, requires_grad=True)
    for term in terms:
        value = term.function(
            logits, sample.target.labels.long()[None], ignore_id=255, pixel_weights=None
        )
        (gradient,) = torch.autograd.grad(value, logits)
        assert gradient.any()


SUPPLIED = {"logits", "labels", "ignore_id", "pixel_weights", "class_weights"}
ENTRIES = [
    (path, name, option)
    for path, table in (
        ("losses.0", LOSSES),
        ("transforms.0", TRANSFORMS),
        ("optimizer", OPTIMIZERS),
        ("schedule", SCHEDULES),
    )
    for name, kind in table.items()
    for option in inspect.signature(kind).parameters
    if option not in SUPPLIED
]


def _with(path: str, entry: dict[str, Any]) -> Recipe:
    part, _, place = path.partition(".")
    mapping = tiny_recipe().model_dump(mode="json")
    return Recipe.from_mapping(mapping | {part: [entry] if place else entry})


@pytest.mark.parametrize(("path", "name", "option"), ENTRIES)
def test_every_option_of_every_entry_is_refused_under_its_key_path(path, name, option):
    kind = {**LOSSES, **TRANSFORMS, **OPTIMIZERS, **SCHEDULES}[name]
    needed = {
        key: 8
        for key, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is parameter.empty and key not in SUPPLIED
    }
    entry = {"name": name} | needed | {option: math.nan}
    with pytest.raises(RecipeError, match=rf"^{re.escape(path)}\.{option}(\.\w+)?: "):
        check_recipe(_with(path, entry))


@pytest.mark.parametrize(
    ("path", "entry", "message"),
    [
        ("model", {"name": "unet", "encodr": "x"}, "model 'unet' has no option 'encodr': did you"),
        (
            "model",
            {"name": "pspnet", "output_stride": 3},
            "model 'pspnet', option 'output_stride': ",
        ),
        ("losses.0", {"name": "focal", "gamma": -1}, "losses.0.gamma: focal: gamma -1.0 is neg"),
        ("losses.0", {"name": "dice", "weight": -1}, "losses.0.weight: got -1, expected"),
        (
            "losses.0",
            {"name": "ohem_cross_entropy", "threshold": 2, "min_kept": 5},
            "losses.0: ohem_cross_entropy: threshold 2.0 must be",
        ),
        (
            "transforms.0",
            {"name": "resize", "height": 0, "width": 5},
            "transforms.0.height: transform resize: height is 0, expected a whole number",
        ),
        ("optimizer", {"name": "adam", "beta1": 1.5}, "optimizer.beta1: got 1.5, expected"),
        ("optimizer", {"name": "sgd", "momentum": -1}, "optimizer.momentum: got -1, expected"),
        (
            "optimizer",
            {"name": "sgd", "momentum": 0, "nesterov": True},
            "optimizer: sgd: nesterov looks ahead along a momentum of 0: raise momentum",
        ),
        ("schedule", {"name": "poly", "power": -1}, "schedule.power: got -1, expected"),
        ("schedule", {"name": "cosine", "warmup": 2}, "schedule.warmup: got 2, expected"),
        ("schedule", {"name": "step", "milestones": [3]}, "schedule.milestones.0: got 3, exp"),
    ],
)
def test_options_out_of_range_are_refused_before_images_are_read(path, entry, message):
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}"):
        check_recipe(_with(path, entry))
