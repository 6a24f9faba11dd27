"""`segscape evaluate --method NAME`: score a method without training, over settings if asked."""

import itertools
import json as json_text
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from segscape.classical import METHODS
from segscape.classical.method_options import parse_settings
from segscape.cli.patience import tell_of_compiling
from segscape.datasets.bsds500 import open_berkeley
from segscape.evaluation.method_scores import MethodScores, SettingScores, score_method
from segscape.io.atomic import atomic_file
from segscape.structures import MethodError

_DEFAULTS = "defaults"


def judge_method(
    method: str,
    words: Sequence[str],
    *,
    data: str | None,
    split: str | None,
    sweep: Sequence[str],
    limit: int | None,
    processes: int | None,
    json: Path | None,
) -> None:
    """Score a method, print a table and write the numbers.

    Args:
        method: its name in `METHODS`.
        words: `option=value` for all settings.
        data: `bsds500:ROOT`.
        split: of the data; val if None.
        sweep: `option=v1,v2,...`; several make all combinations.
        limit: only so many of the first images.
        processes: how many share the images.
        json: a file for all numbers.

    Raises:
        SegscapeError: for an unknown method, option, data set or split; when the method needs to be
            shown something in each image, refuses one, or a file cannot be read or written.
    """
    from segscape.cli import judging

    judging.refuse_folder(json)
    name = _known(method)
    if data is None:
        raise MethodError(
            "--method needs images with regions that people drew: give --data bsds500:ROOT"
        )
    settings = _settings(name, words, sweep)
    split = split or "val"
    dataset = open_berkeley(data, split=split)
    console = Console()
    with judging.progress(console) as update:
        tell_of_compiling(Console(stderr=True))
        scores = score_method(
            name, dataset, settings, limit=limit, processes=processes, progress=update
        )
    plural = "image" if scores.images == 1 else "images"
    title = f"{name} on {data}, {split}, {scores.images} {plural}"
    console.print(_agreement_table(scores, title))
    console.print(_superpixel_table(scores))
    if json is not None:
        found = {"data": data, "split": split, **scores.to_json()}
        with atomic_file(json) as draft:
            draft.write_text(json_text.dumps(found, indent=2) + "\n", "utf-8")
        console.print(f"json {json}", markup=False, highlight=False, soft_wrap=True)


def _known(method: str) -> str:
    import difflib

    name = method.replace("-", "_")
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(METHODS)}"
        raise MethodError(f"unknown method '{method}': {hint}")
    if METHODS[name].is_shown:
        raise MethodError(
            f"{name} needs to be shown what to look for in each image, which the data do not: "
            "choose a method that parts an image by itself"
        )
    return name


def _settings(
    method: str, words: Sequence[str], sweep: Sequence[str]
) -> dict[str, dict[str, object]]:
    """The options of each setting by its name, which says what is swept."""
    function = METHODS[method].load()
    fixed = parse_settings(function, list(words))
    axes: list[list[tuple[str, dict[str, object]]]] = []
    for axis in sweep:
        option, equals, values = axis.partition("=")
        if not equals or not values:
            raise MethodError(f"--sweep {axis}: write option=value,value,...")
        axes.append([])
        for value in values.split(","):
            setting = parse_settings(function, [f"{option}={value}"])
            if next(iter(setting)) in fixed:
                raise MethodError(f"option {option} is both swept and fixed: leave one of them out")
            axes[-1].append((f"{next(iter(setting))}={value.strip()}", setting))
    settings: dict[str, dict[str, object]] = {}
    for chosen in itertools.product(*axes):
        options = dict(fixed)
        for _, setting in chosen:
            options |= setting
        settings[" ".join(name for name, _ in chosen) or " ".join(words) or _DEFAULTS] = options
    return settings


def _agreement_table(scores: MethodScores, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("setting")
    for heading in ("covering", "PRI", "VI, bits", "precision", "recall", "F", "s"):
        table.add_column(heading, justify="right")
    for name, setting in scores.settings.items():
        table.add_row(name, *_agreement(setting), f"{setting.seconds:.2g}")
    family = scores.family
    if len(scores.settings) > 1:
        table.add_section()
        best = family.boundaries_ods
        table.add_row(
            "ODS",
            f"{family.covering_ods:.3f}",
            f"{family.rand_index_ods:.3f}",
            f"{family.variation_of_information_ods:.3f}",
            *(f"{value:.3f}" for value in (best.precision, best.recall, best.f)),
        )
        best = family.boundaries_ois
        table.add_row(
            "OIS",
            f"{family.covering_ois:.3f}",
            f"{family.rand_index_ois:.3f}",
            f"{family.variation_of_information_ois:.3f}",
            *(f"{value:.3f}" for value in (best.precision, best.recall, best.f)),
        )
        table.add_row("Best", f"{family.covering_best:.3f}")
    return table


def _agreement(setting: SettingScores) -> list[str]:
    regions, boundaries = setting.agreement.regions, setting.agreement.boundaries
    values = (
        regions.covering,
        regions.rand_index,
        regions.variation_of_information,
        boundaries.precision,
        boundaries.recall,
        boundaries.f,
    )
    return [f"{value:.3f}" for value in values]


def _superpixel_table(scores: MethodScores) -> Table:
    table = Table(title="as superpixels, the worst annotator of each image", title_justify="left")
    table.add_column("setting")
    for heading in ("regions", "recall", "UE", "UE Levin", "ASA", "compact", "explained"):
        table.add_column(heading, justify="right")
    for name, setting in scores.settings.items():
        found = setting.superpixels
        table.add_row(
            name,
            f"{found.count:.0f}",
            f"{found.boundary_recall:.3f}",
            f"{found.undersegmentation_error:.3f}",
            f"{found.undersegmentation_error_levin:.3g}",
            f"{found.achievable_segmentation_accuracy:.3f}",
            f"{found.compactness:.3f}",
            f"{found.explained_variation:.3f}",
        )
    return table
