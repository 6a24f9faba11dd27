"""`segscape predict`: masks for images of any size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segscape.cli.joined_runs import (
    OthersOption,
    ProposalsOption,
    RuleOption,
    ensemble_of,
    proposals_of,
)
from segscape.cli.refiners import RefineOption, RefineOptionsOption, refiner_of

if TYPE_CHECKING:
    from segscape.inference.predict import PredictionSummary


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder, or the model folder inside one.")],
    images: Annotated[
        list[Path],
        typer.Argument(help="Image files, folders (searched through) or patterns as 'a/**/*.jpg'."),
    ],
    out: Annotated[Path, typer.Option(help="The folder for the results.")],
    format: Annotated[  # noqa: A002 - the option's name
        list[str] | None,
        typer.Option(
            help="What to write: png (label maps), overlay, scores (npz), json (areas of classes);"
            " may be repeated or a list with commas. png if left out."
        ),
    ] = None,
    tile: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="H W", help="Largest window in pixels that is scored at once."),
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(help="Pixels that windows share; an eighth of the tile.")
    ] = None,
    flips: Annotated[
        bool | None, typer.Option(help="Average with the mirrored image: twice the time.")
    ] = None,
    turns: Annotated[
        bool | None,
        typer.Option(help="Average with the image turned by quarter turns: four times the time."),
    ] = None,
    scales: Annotated[
        list[float] | None,
        typer.Option(help="Average over this factor of the image's size; may be repeated."),
    ] = None,
    proposals: ProposalsOption = None,
    others: OthersOption = None,
    rule: RuleOption = None,
    refine: RefineOption = None,
    refine_options: RefineOptionsOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ... or auto.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="fp32, bf16, or auto for bf16 where it is faster.")
    ] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are there.")
    ] = False,
) -> None:
    """Write masks for images of any size; a stopped prediction goes on when called again."""
    from rich.console import Console

    from segscape.inference.precision import check_precision
    from segscape.inference.predict import predict_files
    from segscape.inference.results import check_formats
    from segscape.inference.segmenter import Segmenter
    from segscape.structures import ImageFileError, Size
    from segscape.training.recipe import Prediction, read_recipe

    # Before the model is loaded, which may take longer than reading the answer.
    formats = check_formats(
        [name.strip() for text in format or ["png"] for name in text.split(",")]
    )
    refiner = refiner_of(refine, refine_options)
    usual = read_recipe(run).prediction if (run / "recipe.yaml").is_file() else Prediction()
    window = tile or usual.tile
    segmenter = Segmenter.load(
        run,
        tile=None if window is None else Size(*window),
        # The recipe's overlap belongs to its tile.
        overlap=usual.overlap if overlap is None and tile is None else overlap,
        flips=usual.flips if flips is None else flips,
        turns=usual.turns if turns is None else turns,
        scales=tuple(scales or usual.scales),
        proposals=proposals_of(usual, proposals),
        ensemble=ensemble_of(usual, others, rule, device, precision),
        refiner=refiner,
        device=device,
        precision=check_precision(precision),
    )
    summary = predict_files(segmenter, images, out, formats=formats, overwrite=overwrite)
    Console().print(_line(summary, out), markup=False, highlight=False, soft_wrap=True)
    if summary.failures:
        failed = len(summary.failures)
        raise ImageFileError(
            f"{failed} of {failed + summary.predicted + summary.skipped} images could not be "
            "predicted, as said above: mend or remove them and call again, what is done is kept"
        )


def _line(summary: PredictionSummary, out: Path) -> str:
    images = "image" if summary.predicted == 1 else "images"
    line = f"{summary.predicted} {images} predicted into {out}"
    if summary.predicted:
        line += f", {summary.seconds / summary.predicted:.2g} s per image"
    if summary.skipped:
        line += f"; {summary.skipped} were there already"
    return line
