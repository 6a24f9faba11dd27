"""What a recipe's losses become."""

from functools import partial
from typing import Any

import pytest
import torch
from tests.support.stand_in_segmenter import numbered
from tests.support.training_runs import tiny_recipe

from segscape.datasets.synthetic import SyntheticSemantic
from segscape.models.semantic_model import WeightedLoss
from segscape.ops.class_weights import class_weights
from segscape.structures import RecipeError, Size, Taxonomy
from segscape.training.entries import checked_options
from segscape.training.parts import label_counts, recipe_losses

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
