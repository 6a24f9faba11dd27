"""`segscape segment compare IMAGE --out page.html`: all methods side by side."""

from pathlib import Path
from typing import Annotated

import typer


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
        typer.Option(metavar="LEFT TOP RIGHT BOTTOM", help="A box around an object, likewise."),
    ] = None,
    longest_side: Annotated[
        int,
        typer.Option(min=1, help="Larger images are shrunk to so many pixels, for time's sake."),
    ] = 640,
) -> None:
    """Run all methods with their default options on an image and write one HTML page."""
    from rich.console import Console

    from segscape.classical import METHODS
    from segscape.cli.judging import refuse_folder
    from segscape.cli.patience import WorkProgress
    from segscape.cli.segmenting import image_of, shown_in
    from segscape.evaluation.method_comparison import compare_methods
    from segscape.evaluation.method_page import write_methods
    from segscape.structures import MethodError, Size
    from segscape.visualize.figures import smaller

    refuse_folder(out)
    names = [name.strip().replace("-", "_") for name in (methods or ",".join(METHODS)).split(",")]
    for name in names:
        if name not in METHODS:
            raise MethodError(f"unknown method '{name}': there are {', '.join(METHODS)}")
    pixels = image_of(image)
    given = shown_in(marks, box, Size(*pixels.shape[1:]))
    if given and max(pixels.shape[1:]) > longest_side:
        raise MethodError(
            f"{image}: marks and boxes belong to the image of {pixels.shape[1]} x "
            f"{pixels.shape[2]} pixels: give --longest-side {max(pixels.shape[1:])}"
        )
    pixels = smaller(pixels, longest_side)
    with WorkProgress("comparing", len(names)) as progress:
        findings = compare_methods(pixels, names, given, progress=progress.done)
    write_methods(out, pixels, findings, title=image.name)
    Console().print(f"page {out}", markup=False, highlight=False, soft_wrap=True)
