"""`segscape tune`: the dense CRF that suits a run."""

from pathlib import Path
from typing import Annotated

import typer

from segscape.cli.refiners import RefineOptionsOption, refiner_of


def tune(
    run: Annotated[Path, typer.Argument(help="A run folder, or the model folder inside one.")],
    data: Annotated[
        str | None,
        typer.Option(help="LAYOUT:ROOT of the images; the recipe's validation images if left out."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Which split; the recipe's validation split, or val.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="A file that says what the ids in the masks mean.")
    ] = None,
    ignore: Annotated[
        list[int] | None, typer.Option(help="An id in the masks that means void; may be repeated.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Search on each so many-th image only.")] = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Search on at most so many images.")
    ] = None,
    refine_options: RefineOptionsOption = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Try all 128 settings, not from coarse to fine: 3 to 4 times."),
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Also write all settings tried to this JSON file.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ... or auto.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="fp32, bf16, or auto for bf16 where it is faster.")
    ] = "auto",
) -> None:
    """Search the published ranges for the dense CRF with the highest mean IoU on some images."""
    from dataclasses import asdict

    from rich.console import Console

    from segscape.cli import judging
    from segscape.cli.joined_runs import ensemble_of
    from segscape.cli.judged_data import judged_data
    from segscape.cli.outputs import refuse_folder
    from segscape.cli.patience import judging_bar
    from segscape.evaluation.crf_tuning import tune_crf
    from segscape.training.recipe import Prediction, read_recipe

    refuse_folder(json)
    start = refiner_of("crf", ["deeplab_v1_vgg16", *(refine_options or ())])
    recipe = read_recipe(run) if (run / "recipe.yaml").is_file() else None
    usual = Prediction() if recipe is None else recipe.prediction
    segmenter = judging.open_segmenter(
        run,
        recipe,
        device=device,
        precision=precision,
        ensemble=ensemble_of(usual, None, None, device, precision),
    )
    judged = judged_data(recipe, data, split, classes, ignore or ())
    console = Console()
    with judging_bar(console) as update:
        tuning = tune_crf(
            segmenter,
            judged.dataset,
            start=start,
            every=every,
            limit=limit,
            full=full,
            progress=update,
        )
    best = tuning.best
    if json is not None:
        judging.write_json(
            json,
            {
                "data": judged.spec,
                "split": judged.split,
                "images": list(tuning.keys),
                "unrefined_miou": tuning.unrefined,
                "trials": [{"miou": trial.miou} | asdict(trial.crf) for trial in tuning.trials],
            },
        )
    told = ",".join(f"{name}={value:g}" for name, value in asdict(best.crf).items())
    shown = 100 * tuning.unrefined, 100 * best.miou
    summary = (
        f"{len(tuning.trials)} settings on {len(tuning.keys)} images of {judged.name}, "
        f"{judged.split}: mIoU {shown[0]:.2f} without, {shown[1]:.2f} with"
    )
    for line in (summary, f"--refine crf --refine-options {told}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
