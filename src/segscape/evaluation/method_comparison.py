"""All methods without training on one image: what each finds, and how long it takes."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

from jaxtyping import Bool, Shaped
from torch import Tensor

from segscape.classical import METHODS
from segscape.classical.method_options import DRAWN, drawn_inputs, method_options
from segscape.classical.results import mask_of, regions_of
from segscape.metrics.superpixels import compactness, explained_variation
from segscape.structures import Partition, SegscapeError

# A corner of the image on which each method is called first, so that its kernels are ready.
_CORNER = 48


@dataclass(frozen=True)
class MethodFinding:
    """What a method made of the image.

    Args:
        name: in `METHODS`.
        partition: the regions it found; None where it was not run or refused the image.
        why_not: the line that says why there is no partition.
        seconds: of one call, kernels compiled and loaded before.
        explained_variation: share of the colours' variance between the regions, in [0, 1].
        compactness: how like discs the regions are, in [0, 1].
        options: with which it was called.
        mask: the object, where the method cuts out one.
        given: what of `marks` and `box` it was shown.
    """

    name: str
    partition: Partition | None
    why_not: str
    seconds: float
    explained_variation: float
    compactness: float
    options: Mapping[str, object]
    mask: Bool[Tensor, "height width"] | None = None
    given: tuple[str, ...] = ()


def compare_methods(
    image: Shaped[Tensor, "channel height width"],
    names: Sequence[str],
    shown: Mapping[str, object],
    *,
    progress: Callable[[], None] = lambda: None,
) -> list[MethodFinding]:
    """Call methods with their default options.

    Args:
        image: as the methods take it.
        names: of methods in `METHODS`.
        shown: `marks` and `box`, as far as there are; methods that need them are left out else.
        progress: is told after each method.
    """
    findings: list[MethodFinding] = []
    for name in names:
        findings.append(_finding(name, image, shown))
        progress()
    return findings


def _finding(
    name: str, image: Shaped[Tensor, "channel height width"], shown: Mapping[str, object]
) -> MethodFinding:
    method = METHODS[name].load()
    # Marks of one object would make other methods find just that.
    needed = drawn_inputs(method) if METHODS[name].is_shown else ()
    options = {option.name: option.default for option in method_options(method)}
    given = {key: shown[key] for key in needed if shown.get(key) is not None}
    if needed and not given:
        ways = " or ".join(f"--{key}" for key in DRAWN if key in needed)
        return _nothing(name, f"needs to be shown what to look for: give {ways}", options)
    # Once before, where kernels may have to be compiled; a corner without marks is too small.
    with suppress(SegscapeError):
        ready = image if needed else image[:, :_CORNER, :_CORNER].contiguous()
        method(ready, **given)
    began = perf_counter()
    try:
        result = method(image, **given)
    except SegscapeError as error:
        return _nothing(name, str(error), options)
    seconds = perf_counter() - began
    partition = regions_of(result)
    return MethodFinding(
        name=name,
        partition=partition,
        why_not="",
        seconds=seconds,
        explained_variation=explained_variation(partition, image),
        compactness=compactness(partition),
        options=options,
        mask=mask_of(result),
        given=tuple(given),
    )


def _nothing(name: str, why: str, options: Mapping[str, object]) -> MethodFinding:
    nan = float("nan")
    return MethodFinding(name, None, why, nan, nan, nan, options)
