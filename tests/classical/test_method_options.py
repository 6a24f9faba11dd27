"""Options from signatures and docstrings."""

from typing import Literal

import pytest
from torch import Tensor

from segscape.classical import METHODS
from segscape.classical.method_options import (
    drawn_inputs,
    method_options,
    outline_of,
    parse_settings,
    summary_of,
)


def method(
    image: Tensor,
    *,
    marks: Tensor | None = None,
    size: int = 3,
    weight: float | None = 0.5,
    sharp: bool = False,
    kind: Literal["one", "two"] = "one",
    near: Literal[4, 8] = 8,
    window: tuple[int, int] = (3, 4),
) -> Tensor:
    """Do something.

    In two paragraphs.

    Args:
        image: any.
        marks: what is drawn.
        size: of the window: in pixels,
            1 or more.
        weight: of it.
        sharp: whether it is.
        kind: of two.
        near: neighbours.
        window: height and width.

    Raises:
        MethodError: never.
    """
    del marks, size, weight, sharp, kind, near, window
    return image


def test_options_come_from_the_signature_and_their_words_from_the_docstring():
    options = {option.name: option for option in method_options(method)}
    assert list(options) == ["size", "weight", "sharp", "kind", "near", "window"]
    assert options["size"].help == "of the window: in pixels, 1 or more."
    assert options["window"].help == "height and width."
    assert options["weight"].default == 0.5
    assert drawn_inputs(method) == ("marks",)
    assert summary_of(method) == "Do something.\n\nIn two paragraphs."


def test_values_are_read_by_their_types():
    words = ["size=7", "weight=none", "sharp=true", "kind=two", "near=4", "window=5:6"]
    assert parse_settings(method, words) == {
        "size": 7,
        "weight": None,
        "sharp": True,
        "kind": "two",
        "near": 4,
        "window": (5, 6),
    }
    weight = parse_settings(method, ["weight=2"])["weight"]
    assert isinstance(weight, float)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("size", "'size' is no option: write option=value"),
        ("sise=3", "unknown option 'sise': did you mean 'size'"),
        ("q=3", "unknown option 'q': there are size, weight"),
        ("size=2.5", "option size=2.5: input should be a valid integer"),
        ("size=none", "option size=none"),
        ("kind=three", "option kind=three: input should be 'one' or 'two'"),
        ("near=5", "option near=5: input should be 4 or 8"),
        ("window=5", "option window=5"),
    ],
)
def test_wrong_words_are_refused_in_one_line(word, said):
    with pytest.raises(ValueError, match="option") as caught:
        parse_settings(method, [word])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", METHODS)
def test_the_outline_from_the_source_is_that_of_the_function(name):
    outline, method = outline_of(METHODS[name]), METHODS[name].load()
    assert method_options(outline) == method_options(method)
    assert drawn_inputs(outline) == drawn_inputs(method)
    assert outline.__doc__ == method.__doc__


@pytest.mark.parametrize("name", METHODS)
def test_every_option_of_every_method_has_a_default_that_its_own_type_allows(name):
    for option in method_options(METHODS[name].load()):
        value = option.default
        assert option.parse(option.text or "none") == value, option.name
    assert METHODS[name].summary.endswith(".")
