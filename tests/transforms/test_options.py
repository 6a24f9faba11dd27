"""Wrong options are refused in one line that names option, value and range."""

import math
from collections.abc import Callable

import pytest

from segscape.structures import StructureError
from segscape.transforms import TRANSFORMS, options

SIZE = {"height": 4, "width": 4}
# Values of the right type but out of range: recipes check the types by the annotations.
WRONG: list[tuple[str, dict[str, object], str]] = [
    ("resize", {"height": 0, "width": 4}, "resize: height is 0, expected a whole number >= 1"),
    ("random_scale", {"scale": (0.0, 1.0)}, "random_scale: scale is 0.0, expected a number > 0"),
    ("random_scale", {"scale": (2.0, 1.0)}, "(2.0, 1.0), expected the smaller number first"),
    ("random_scale", {"scale": (1.0, math.inf)}, "scale is inf, expected a number > 0"),
    ("random_crop", {"height": 4, "width": -1}, "random_crop: width is -1"),
    (
        "random_crop",
        {**SIZE, "rare_class_probability": 1.5},
        "rare_class_probability is 1.5, expected a number >= 0, <= 1",
    ),
    (
        "random_crop",
        {**SIZE, "max_category_share": 0.0},
        "max_category_share is 0.0, expected a number > 0, <= 1",
    ),
    ("random_resized_crop", {**SIZE, "aspect": (0.0, 1.0)}, "aspect is 0"),
    ("random_resized_crop", {**SIZE, "scale": (-1.0, 1.0)}, "random_resized_crop: scale is -1.0"),
    ("object_crop", {"enlarged": 0.9}, "object_crop: enlarged is 0.9, expected a number >= 1"),
    ("proposal_crop", {"overlap": 0.0}, "proposal_crop: overlap is 0.0, expected a number > 0"),
    ("proposal_crop", {"smallest_px": 0}, "proposal_crop: smallest_px is 0, expected a whole"),
    ("pad", {"height": 0, "width": 4}, "pad: height is 0"),
    ("horizontal_flip", {"probability": -0.1}, "horizontal_flip: probability is -0.1"),
    ("vertical_flip", {"probability": math.nan}, "vertical_flip: probability is nan"),
    ("rotation", {"degrees": 181.0}, "degrees is 181.0, expected a number >= 0, <= 180"),
    ("rotation", {"degrees": 4.0, "outside": "black"}, "is 'black', expected void or mirror"),
    ("elastic", {"sigma_px": -1.0}, "elastic: sigma_px is -1.0, expected a number >= 0"),
    ("elastic", {"nodes": 1}, "elastic: nodes is 1, expected a whole number >= 2"),
    ("color_jitter", {"hue": 0.6}, "color_jitter: hue is 0.6, expected a number >= 0, <= 0.5"),
    ("blur", {"sigma": (-1.0, 1.0)}, "blur: sigma is -1"),
    ("noise", {"sigma": (3.0, 2.0)}, "noise: sigma is (3.0, 2.0), expected the smaller"),
    ("border_weights", {"foreground": -1}, "border_weights: foreground is -1"),
    (
        "border_weights",
        {"foreground": 0, "sigma_px": 0.0},
        "sigma_px is 0.0, expected a number > 0",
    ),
    ("border_weights", {"foreground": 0, "w0": -1.0}, "border_weights: w0 is -1.0"),
]


@pytest.mark.parametrize(("name", "given", "message"), WRONG)
def test_wrong_values(name: str, given: dict[str, object], message: str) -> None:
    with pytest.raises(StructureError) as caught:
        TRANSFORMS[name](**given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_transform_with_options_has_a_wrong_one() -> None:
    assert {name for name, _, _ in WRONG} == set(TRANSFORMS) - {"quarter_turns"}


@pytest.mark.parametrize(
    ("check", "wrong", "message"),
    [
        (options.whole_number, 2.5, "transform t: o is 2.5, expected a whole number >= 1"),
        (options.whole_number, True, "o is True, expected a whole number"),
        (options.whole_number, None, "o is None"),
        (options.number, "10", "transform t: o is '10', expected a number >= 0"),
        (options.number, True, "o is True"),
        (options.number, [1, 2], "o is [1, 2], expected a number >= 0"),
        (options.probability, "often", "o is 'often', expected a number >= 0, <= 1"),
        (options.interval, 2, "transform t: o is 2, expected two numbers [low, high]"),
        (options.interval, "12", "o is '12', expected two numbers"),
        (options.interval, [1, 2, 3], "o is [1, 2, 3], expected two numbers"),
        (options.yes_or_no, 1, "o is 1, expected true or false"),
    ],
)
def test_wrong_types(check: Callable[..., object], wrong: object, message: str) -> None:
    with pytest.raises(StructureError) as caught:
        check("t", "o", wrong)
    assert message in str(caught.value)


def test_right_values_are_numbers_afterwards() -> None:
    assert options.number("t", "o", 3) == 3.0
    assert options.interval("t", "o", [1, 2]) == (1.0, 2.0)
    assert options.whole_number("t", "o", 7) == 7
