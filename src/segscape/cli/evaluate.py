"""`segscape evaluate`: judge a run on labelled images, or a method without training."""

import inspect
from pathlib import Path
from typing import Annotated

import typer

from segscape.cli.joined_runs import OthersOption, ProposalsOption, RuleOption, ensemble_of
from segscape.cli.refiners import RefineOption, RefineOptionsOption, refiner_of

# Options that only the judging of runs knows.
_OF_RUNS = (
    *("report", "classes", "ignore", "flips", "turns", "scales", "tile", "proposals", "others"),
    *("rule", "refine", "refine_options", "device", "precision", "boundary", "cells", "examples"),
)


def evaluate(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN | option=value ...",
            help="A run folder, or the model folder inside one; with --method, its options.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Judge this method of 'segscape segment' on --data bsds500:ROOT instead."
        ),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="option=v1,v2,...",
            help="With --method: score each of these values, and the best of them over all images"
            " (ODS) and for each (OIS); may be repeated for all combinations.",
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="With --method: how many share the images.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="LAYOUT:ROOT of the images; the recipe's validation images if left out."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Which split; the recipe's validation split, or val.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Also write all numbers to this JSON file.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Where the HTML report goes; RUN/report.html if left out, report_first_N.html with"
            " --limit N."
        ),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="A file that says what the ids in the masks mean.")
    ] = None,
    ignore: Annotated[
        list[int] | None, typer.Option(help="An id in the masks that means void; may be repeated.")
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
    tile: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="H W", help="Largest window in pixels that is scored at once."),
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
    limit: Annotated[
        int | None, typer.Option(min=1, help="Judge only so many of the first images.")
    ] = None,
    boundary: Annotated[
        bool,
        typer.Option(
            help="Judge contours, too: boundary F1, boundary IoU, trimaps; and regions by size."
        ),
    ] = True,
    cells: Annotated[
        str | None,
        typer.Option(
            help="Judge the pieces of this category as cells, too: V^Rand, V^Info, warping error."
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, help="How many of the worst and of the best images to show.")
    ] = 4,
) -> None:
    """Judge a run on labelled images, or a method without training on images parted by people."""
    given = dict(locals())
    if method is not None:
        from segscape.cli.method_judging import judge_method

        _refuse_foreign(given, _OF_RUNS, "belongs to runs: leave it out with --method")
        judge_method(
            method,
            words or (),
            data=data,
            split=split,
            sweep=sweep or (),
            limit=limit,
            processes=processes,
            json=json,
        )
        return
    _refuse_foreign(given, ("sweep", "processes"), "belongs to methods: give --method, too")
    if not words or len(words) > 1:
        raise typer.BadParameter("name one run folder, or a method with --method", param_hint="RUN")
    run = Path(words[0])

    from rich.console import Console

    from segscape.cli import judging
    from segscape.cli.cell_table import cell_table
    from segscape.cli.judged_data import judged_data
    from segscape.cli.outputs import refuse_folder
    from segscape.cli.patience import judging_bar
    from segscape.cli.score_table import overall, score_table
    from segscape.evaluation.evaluate import evaluate as judge
    from segscape.evaluation.report import write_report
    from segscape.training.recipe import Prediction, read_recipe

    page = report or judging.report_place(run, limit)
    for path in (page, json):
        refuse_folder(path)
    refiner = refiner_of(refine, refine_options)
    recipe = read_recipe(run) if (run / "recipe.yaml").is_file() else None
    usual = Prediction() if recipe is None else recipe.prediction
    segmenter = judging.open_segmenter(
        run,
        recipe,
        device=device,
        precision=precision,
        flips=flips,
        turns=turns,
        scales=scales,
        tile=tile,
        proposals=proposals,
        ensemble=ensemble_of(usual, others, rule, device, precision),
        refiner=refiner,
    )
    judged = judged_data(recipe, data, split, classes, ignore or ())
    console = Console()
    with judging_bar(console) as update:
        evaluation = judge(
            segmenter,
            judged.dataset,
            contours=boundary,
            cells=cells,
            examples=examples,
            limit=limit,
            data={
                "data": judged.spec,
                "split": judged.split,
                "images": len(judged.dataset),
                "judged": "all" if limit is None else f"the first {limit}",
                "ignored_ids": ", ".join(map(str, judged.ignore)) or None,
            },
            model=judging.model_facts(run, segmenter),
            progress=update,
        )
    title = f"{run.resolve().name} on {judged.name}, {judged.split}"
    write_report(page, evaluation, title=title, run=run)
    if json is not None:
        judging.write_json(json, evaluation.to_json())
    console.print(score_table(evaluation, title))
    console.print(overall(evaluation))
    if evaluation.cells is not None:
        console.print(cell_table(evaluation.cells))
    # Not wrapped: people copy these lines.
    for name, path in (("report", page), ("json", json)):
        if path is not None:
            console.print(f"{name:8} {path}", markup=False, highlight=False, soft_wrap=True)


def _refuse_foreign(given: dict[str, object], names: tuple[str, ...], why: str) -> None:
    """Refuse options that would be ignored."""
    defaults = inspect.signature(evaluate).parameters
    for name in names:
        if given[name] != defaults[name].default:
            raise typer.BadParameter(why, param_hint=f"--{name.replace('_', '-')}")
