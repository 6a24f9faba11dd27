"""Networks: one paper, one file; found by name in one table."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from segscape.models.model import Architecture as Architecture
from segscape.models.model import Model as Model
from segscape.models.semantic.deconvnet import build_deconvnet
from segscape.models.semantic.deeplab_v1 import build_deeplab_largefov
from segscape.models.semantic.deeplab_v2 import build_deeplab_v2
from segscape.models.semantic.deeplab_v3 import build_deeplab_v3
from segscape.models.semantic.deeplab_v3_plus import build_deeplab_v3_plus
from segscape.models.semantic.encoder_unet import build_unet
from segscape.models.semantic.fcn import build_fcn, build_fcn_alexnet, build_fcn_resnet
from segscape.models.semantic.light_weight_refinenet import build_light_weight_refinenet
from segscape.models.semantic.lraspp import build_lraspp
from segscape.models.semantic.pspnet import build_pspnet
from segscape.models.semantic.refinenet import build_refinenet
from segscape.models.semantic.segformer import build_segformer
from segscape.models.semantic.segnet import build_segnet, build_segnet_basic
from segscape.models.semantic.sliding_window import build_sliding_window
from segscape.models.semantic.torchvision_models import (
    build_torchvision_deeplab_v3,
    build_torchvision_fcn,
)
from segscape.models.semantic.unet import build_unet_2015
from segscape.models.semantic.upernet import build_upernet
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


# From the sliding window to today.
MODELS: dict[str, ModelEntry] = {
    "sliding_window": ModelEntry(
        "semantic", "Ciresan 2012, NIPS; Giusti 2013, arXiv:1302.1700", build_sliding_window
    ),
    "fcn32s": ModelEntry("semantic", "Long 2015, arXiv:1411.4038", build_fcn, {"stride": 32}),
    "fcn16s": ModelEntry("semantic", "Long 2015, arXiv:1411.4038", build_fcn, {"stride": 16}),
    "fcn8s": ModelEntry("semantic", "Long 2015, arXiv:1411.4038", build_fcn, {"stride": 8}),
    "fcn_alexnet": ModelEntry("semantic", "Long 2015, arXiv:1411.4038", build_fcn_alexnet),
    "fcn_resnet": ModelEntry("semantic", "after Long 2015, arXiv:1411.4038", build_fcn_resnet),
    "deconvnet": ModelEntry("semantic", "Noh 2015, arXiv:1505.04366", build_deconvnet),
    "segnet": ModelEntry("semantic", "Badrinarayanan 2015, arXiv:1511.00561", build_segnet),
    "segnet_basic": ModelEntry(
        "semantic", "Badrinarayanan 2015, arXiv:1511.00561", build_segnet_basic
    ),
    "unet_2015": ModelEntry("semantic", "Ronneberger 2015, arXiv:1505.04597", build_unet_2015),
    "unet": ModelEntry("semantic", "after Ronneberger 2015, arXiv:1505.04597", build_unet),
    "deeplab_largefov": ModelEntry(
        "semantic", "Chen 2015, arXiv:1412.7062", build_deeplab_largefov
    ),
    "deeplab_v2": ModelEntry("semantic", "Chen 2016, arXiv:1606.00915", build_deeplab_v2),
    "deeplab_v3": ModelEntry("semantic", "Chen 2017, arXiv:1706.05587", build_deeplab_v3),
    "deeplab_v3_plus": ModelEntry("semantic", "Chen 2018, arXiv:1802.02611", build_deeplab_v3_plus),
    "pspnet": ModelEntry("semantic", "Zhao 2017, arXiv:1612.01105", build_pspnet),
    "refinenet": ModelEntry("semantic", "Lin 2017, arXiv:1611.06612", build_refinenet),
    "light_weight_refinenet": ModelEntry(
        "semantic", "Nekrasov 2018, arXiv:1810.03272", build_light_weight_refinenet
    ),
    "upernet": ModelEntry("semantic", "Xiao 2018, arXiv:1807.10221", build_upernet),
    "segformer": ModelEntry("semantic", "Xie 2021, arXiv:2105.15203", build_segformer),
    "torchvision_fcn": ModelEntry(
        "semantic", "after Long 2015, arXiv:1411.4038", build_torchvision_fcn
    ),
    "torchvision_deeplab_v3": ModelEntry(
        "semantic", "after Chen 2017, arXiv:1706.05587", build_torchvision_deeplab_v3
    ),
    "lraspp": ModelEntry("semantic", "Howard 2019, arXiv:1905.02244", build_lraspp),
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


def option_values(name: str, options: Mapping[str, object]) -> dict[str, object]:
    """The options of a model as its builder takes them: lists made tuples and the like.

    Args:
        name: of `MODELS`.
        options: as from a recipe: plain numbers, strings and lists.

    Raises:
        RecipeError: for an unknown model or option (the nearest name is suggested), or a value of
            the wrong type.
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
            problem = error.errors()[0]["msg"].lower().replace("input should be", "expected")
            raise RecipeError(
                f"model '{name}', option '{option}': got {value!r}, {problem}"
            ) from error
    return values


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
    values = option_values(name, options)
    hints = get_type_hints(MODELS[name].build, include_extras=True)
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
