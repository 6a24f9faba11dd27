"""`segscape segment compare IMAGE --out page.html`: all methods side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segscape.classical import METHODS
from segscape.cli.input_error import InputError
from segscape.cli.method_names import method_named

if TYPE_CHECKING:
    from segscape.structures import Size


def compare(
    image: Annotated[Path, typer.Argument(help="An image file.")],
    out: Annotated[Path, typer.Option(help="The HTML file.")],
    methods: Annotated[
        str | None, typer.Option(help="Only these, with commas; all if left out.")
    ] = None,
    marks: Annotated[
        Path | None,
        typer.Option(help="Scribbles as PNG or JSON, for the methods that need them."),
    ] = None,
    box: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option(
            metavar="LEFT TOP\nRIGHT BOTTOM", help="A box around an object, for those that need it."
        ),
    ] = None,
    longest_side: Annotated[
        int,
        typer.Option(
            min=1,
            help="Larger images are shrunk to so many pixels, for time's sake, and what is marked"
            " with them.",
        ),
    ] = 640,
) -> None:
    """Run all methods with their default options on an image and write one HTML page."""
    names = list(METHODS)
    if methods is not None:
        names = list(dict.fromkeys(method_named(name) for name in methods.split(",")))
    for path in (image, marks):
        if path is not None and not path.exists():
            raise InputError(f"{path}: no such file: check the name")

    import torch
    from rich.console import Console

    from segscape.classical.pixels import unit_pixels
    from segscape.cli.outputs import refuse_folder
    from segscape.cli.patience import WorkProgress
    from segscape.cli.segmenting import image_of, shown_in
    from segscape.evaluation.method_comparison import compare_methods
    from segscape.evaluation.method_page import write_methods
    from segscape.structures import Size
    from segscape.visualize.figures import smaller

    refuse_folder(out)
    pixels = image_of(image)
    size = Size(*pixels.shape[1:])
    given = shown_in(marks, box, size)
    if max(size) > longest_side:
        deep = pixels if pixels.dtype == torch.uint8 else unit_pixels(pixels, "compare")
        pixels = smaller(deep, longest_side)
        given = _shrunk(given, size, Size(*pixels.shape[1:]))
    with WorkProgress("comparing", len(names)) as progress:
        findings = compare_methods(pixels, names, given, progress=progress.done)
    if all(finding.partition is None for finding in findings):
        raise InputError(f"no method is left to compare: {findings[0].name} {findings[0].why_not}")
    write_methods(out, pixels, findings, given, title=image.name)
    Console().print(f"page {out}", markup=False, highlight=False, soft_wrap=True)


def _shrunk(given: dict[str, Any], size: Size, small: Size) -> dict[str, Any]:
    """Marks and a box for the shrunk image; a pixel is marked where any that it covers is."""
    from torch.nn.functional import adaptive_max_pool2d

    from segscape.io.mark_files import UNMARKED

    shrunk: dict[str, Any] = {}
    if "marks" in given:
        marked = UNMARKED - given["marks"].float()
        shrunk["marks"] = (UNMARKED - adaptive_max_pool2d(marked[None], small)[0]).to(
            given["marks"].dtype
        )
    if "box" in given:
        left, top, right, bottom = given["box"]
        down, across = small.height / size.height, small.width / size.width
        left, top = int(left * across), int(top * down)
        right, bottom = round(right * across), round(bottom * down)
        shrunk["box"] = (left, top, max(right, left + 1), max(bottom, top + 1))
    return shrunk
