"""What `--refine` and `--refine-options` say."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from segscape.classical.dense_crf import DenseCRF

RefineOption = Annotated[
    str | None,
    typer.Option(help="Sharpen the scores with the help of the image: crf, a dense CRF."),
]
RefineOptionsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|KEY=VALUE",
        help="The CRF's parameters: a published setting (krahenbuhl_2011, deeplab_v1_vgg16,"
        " deeplab_v2_vgg16, deeplab_v2_resnet101, deconvnet), then changes to it, as"
        " appearance_px=50; may be repeated or a list with commas. deeplab_v2_resnet101 if left"
        " out; 'segscape tune' finds what suits a run.",
    ),
]


def refiner_of(name: str | None, options: Sequence[str] | None) -> "DenseCRF | None":
    """The refiner asked for; None when there is none.

    Raises:
        StructureError: for an unknown refiner, setting or parameter, or a value out of range.
    """
    from segscape.structures import StructureError

    words = [word.strip() for text in options or () for word in text.split(",")]
    if name is None:
        if words:
            raise StructureError("--refine-options: says how scores are refined: add --refine crf")
        return None
    if name != "crf":
        raise StructureError(f"--refine {name}: the one refiner there is is crf")
    return _crf_of(words)


def _crf_of(words: Sequence[str]) -> "DenseCRF":
    from dataclasses import fields, replace

    from segscape.classical.dense_crf import PUBLISHED_CRFS, DenseCRF
    from segscape.structures import StructureError

    refiner = DenseCRF()
    types = {field.name: type(field.default) for field in fields(DenseCRF)}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals and key in PUBLISHED_CRFS:
            refiner = PUBLISHED_CRFS[key]
            continue
        if key not in types:
            known = ", ".join([*PUBLISHED_CRFS, *(f"{name}=..." for name in types)])
            raise StructureError(f"--refine-options '{word}': choose of {known}")
        try:
            number = types[key](value)
        except ValueError as error:
            kind = "a whole number" if types[key] is int else "a number"
            raise StructureError(f"--refine-options '{word}': expected {kind}") from error
        refiner = replace(refiner, **{key: number})
    return refiner
