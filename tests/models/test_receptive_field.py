from typing import Any

import pytest
import torch
from tests.support.small_models import TAXONOMY

from segscape.models import build_model
from segscape.models.receptive_field import logits_of, model_receptive_field
from segscape.ops.receptive_field import Layer, effective_receptive_field, receptive_field


def meta(name: str, options: dict[str, object]) -> Any:
    with torch.device("meta"):
        return build_model(name, TAXONOMY, options).eval()


@pytest.mark.parametrize(
    ("name", "size"),
    # Long et al.: 404 and 355, and what one more score on each side of a pixel adds.
    [("fcn32s", 404 + 32), ("fcn16s", 404 + 32 + 32), ("fcn_alexnet", 355 + 32)],
)
def test_the_published_networks_see_what_the_paper_says(name: str, size: int):
    field = model_receptive_field(meta(name, {"hidden_channels": 2}))
    assert field is not None
    assert field.size == size


def test_a_window_is_its_own_receptive_field():
    field = model_receptive_field(meta("sliding_window", {"window": 79, "channels": 2}))
    assert field is not None
    assert (field.size, field.start, field.center) == (79, -39, 0)


@pytest.mark.parametrize("levels", [3, 4, 5])
def test_a_unet_of_the_paper_reads_what_its_layers_say(levels: int):
    """The way through the deepest level, walked by hand; it covers all the others."""
    twice = [Layer(3)] * 2
    up = [Layer(2, 2, transposed=True), *twice]
    way = [*[*twice, Layer(2, 2)] * levels, *twice, *up * levels]
    field = model_receptive_field(meta("unet_2015", {"channels": 1, "levels": levels}))
    assert field is not None
    assert field.size == receptive_field(way).size


def test_training_has_no_field_of_its_own():
    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        model_receptive_field(meta("unet", {"encoder": "resnet18"}).train())


def test_the_effective_field_lies_inside():
    torch.manual_seed(0)
    options = {"window": 63, "channels": 4, "hidden_channels": 8}
    model: Any = build_model("sliding_window", TAXONOMY, options).eval()
    strength = effective_receptive_field(logits_of(model), torch.rand(2, 3, 81, 81))
    rows = strength.sum(1).nonzero().flatten()
    assert 40 - 31 <= int(rows[0]) < 30
    assert 50 < int(rows[-1]) <= 40 + 31
