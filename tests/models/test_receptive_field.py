from typing import Any

import pytest
import torch
from tests.support.small_models import TAXONOMY

from segscape.models import MODELS, build_model
from segscape.models.receptive_field import (
    default_field_sides,
    logits_of,
    model_receptive_field,
    trace_default,
)
from segscape.ops.receptive_field import Layer, effective_receptive_field, receptive_field

# Traced in half a second; the others only in the slow tests.
QUICK = ("sliding_window", "fcn_resnet", "segnet_basic", "deeplab_largefov", "pspnet", "segnet")


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


def test_deeplab_reads_what_its_layers_say():
    """The first version; its zeros in the interpolation between points read nothing."""
    levels = [(2, 2, 1), (2, 2, 1), (3, 2, 1), (3, 1, 1), (3, 1, 2)]  # layers, stride, rate
    way: list[Layer] = []
    for layers, stride, rate in levels:
        way += [Layer(3, padding=rate, dilation=rate)] * layers
        way += [Layer(3, stride, padding=1)]
    way += [Layer(3, padding=1), Layer(3, padding=12, dilation=12)]
    # A pixel between two scores reads both, 8 pixels apart.
    side = receptive_field(way).size + 8
    field = model_receptive_field(meta("deeplab_largefov", {"hidden_channels": 2}))
    assert field is not None
    assert (field.size, field.center) == (side, 0)


def test_deconvnet_reads_what_its_layers_say():
    levels = (2, 2, 3, 3, 3)
    way = [one for count in levels for one in (*[Layer(3, padding=1)] * count, Layer(2, 2))]
    way += [Layer(7), Layer(1), Layer(7, transposed=True)]
    for count in reversed(levels):
        way += [Layer(2, 2, transposed=True), *[Layer(3, padding=1)] * count]
    assert default_field_sides()["deconvnet"] == receptive_field(way).size


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in default_field_sides()
    ],
)
def test_what_is_kept_is_what_tracing_finds(name: str):
    found = trace_default(name)
    assert default_field_sides()[name] == found, "make fields writes what tracing finds"


def test_every_network_is_kept():
    assert list(default_field_sides()) == list(MODELS)


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
