"""Networks: one paper, one file; found by name in one table."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from segscape.models.model import Architecture as Architecture
from segscape.models.model import Model as Model
from segscape.models.semantic.encoder_unet import build_unet
from segscape.models.semantic.fcn import build_fcn, build_fcn_alexnet, build_fcn_resnet
from segscape.models.semantic.sliding_window import build_sliding_window
from segscape.models.semantic.unet import build_unet_2015
from segscape.structures import RecipeError, Taxonomy

AnyModel = Model[Any, Any, Any]


@dataclass(frozen=True)
class ModelEntry:
    """A network by name.

    Args:
        task: `semantic`, `instance` or `panoptic`.
        paper: authors, year and number.
        build: makes it from a taxonomy and options of its own.
        fixed: options that the name stands for.
    """

    task: str
    paper: str
    build: Callable[..., AnyModel]
    fixed: Mapping[str, object] = field(default_factory=dict[str, object])


MODELS: dict[str, ModelEntry] = {
    "unet_2015": ModelEntry("semantic", "Ronneberger 2015, arXiv:1505.04597", build_unet_2015),
    "unet": ModelEntry("semantic", "after Ronneberger 2015, arXiv:1505.04597", build_unet),
    "fcn32s": ModelEntry("semantic", "Long 2015, arXiv:1411.4038", build_fcn, {"stride": 32}),
    "fcn16s": ModelEntry("semantic", "Long 2015, arXiv:1411.4038", build_fcn, {"stride": 16}),
    "fcn8s": ModelEntry("semantic", "Long 2015, arXiv:1411.4038", build_fcn, {"stride": 8}),
    "fcn_alexnet": ModelEntry("semantic", "Long 2015, arXiv:1411.4038", build_fcn_alexnet),
    "fcn_resnet": ModelEntry("semantic", "after Long 2015, arXiv:1411.4038", build_fcn_resnet),
    "sliding_window": ModelEntry(
        "semantic", "Ciresan 2012, NIPS; Giusti 2013, arXiv:1302.1700", build_sliding_window
    ),
}


def model_options(name: str) -> dict[str, inspect.Parameter]:
    """The options the builder of a model takes, by name.

    Raises:
        RecipeError: when no model has this name.
    """
    if name not in MODELS:
        raise RecipeError(f"no model is named '{name}'{_nearest(name, MODELS)}")
    parameters = inspect.signature(MODELS[name].build).parameters
    fixed = {"taxonomy", *MODELS[name].fixed}
    return {option: one for option, one in parameters.items() if option not in fixed}


def build_model(name: str, taxonomy: Taxonomy, options: Mapping[str, object]) -> AnyModel:
    """Build a model by name and remember how (`model.architecture`).

    Args:
        name: of `MODELS`.
        taxonomy: what the outputs mean.
        options: of the model's builder, as from a recipe: plain numbers, strings and lists.

    Raises:
        RecipeError: for an unknown model or option (the nearest name is suggested), or a value of
            the wrong type.
        CheckpointError: when weights named in the options do not fit.
    """
    known = model_options(name)
    hints = get_type_hints(MODELS[name].build, include_extras=True)
    values: dict[str, object] = {}
    for option, value in options.items():
        if option not in known:
            raise RecipeError(f"model '{name}' has no option '{option}'{_nearest(option, known)}")
        try:
            values[option] = TypeAdapter(hints[option]).validate_python(value)
        except ValidationError as error:
            problem = error.errors()[0]
            raise RecipeError(
                f"model '{name}', option '{option}': got {value!r}, {problem['msg'].lower()}"
            ) from error
    model = MODELS[name].build(taxonomy, **MODELS[name].fixed, **values)
    plain = {
        option: TypeAdapter(hints[option]).dump_python(value, mode="json")
        for option, value in values.items()
    }
    model.architecture = Architecture(name, plain)
    return model


def _nearest(name: str, names: Mapping[str, object]) -> str:
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f": did you mean '{near[0]}'?" if near else ":"
    return f"{hint} choose one of {', '.join(names)}"
