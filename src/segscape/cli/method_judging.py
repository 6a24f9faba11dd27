"""`segscape evaluate --method NAME`: score a method without training, over settings if asked."""

import itertools
import json as json_text
from collections.abc import Sequence
from pathlib import Path

from segscape.classical import METHODS
from segscape.classical.method_options import outline_of, parse_settings
from segscape.cli.input_error import InputError
from segscape.cli.method_names import method_named

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
        InputError: for an unknown method, option or value, without data, or for a method that needs
            to be shown something in each image.
        SegscapeError: for another data set or split; when the method refuses an image, or a file
            cannot be read or written.
    """
    name = _unshown(method)
    if data is None:
        raise InputError(
            "--method needs images with regions that people drew: give --data bsds500:ROOT"
        )
    try:
        settings = _settings(name, words, sweep)
    except ValueError as error:
        raise InputError(str(error)) from None

    from rich.console import Console

    from segscape.cli.method_tables import agreement_table, superpixel_table
    from segscape.cli.outputs import refuse_folder
    from segscape.cli.patience import compiling_told, judging_bar
    from segscape.datasets.bsds500 import open_berkeley
    from segscape.evaluation.method_scores import score_method
    from segscape.io.atomic import atomic_file

    refuse_folder(json)
    split = split or "val"
    dataset = open_berkeley(data, split=split)
    console = Console()
    with judging_bar(console) as update, compiling_told(Console(stderr=True)):
        scores = score_method(
            name, dataset, settings, limit=limit, processes=processes, progress=update
        )
    plural = "image" if scores.images == 1 else "images"
    title = f"{name} on {data}, {split}, {scores.images} {plural}"
    console.print(agreement_table(scores, title))
    console.print(superpixel_table(scores))
    if json is not None:
        found = {"data": data, "split": split, **scores.to_json()}
        with atomic_file(json) as draft:
            draft.write_text(json_text.dumps(found, indent=2) + "\n", "utf-8")
        console.print(f"json {json}", markup=False, highlight=False, soft_wrap=True)


def _unshown(method: str) -> str:
    name = method_named(method)
    if METHODS[name].is_shown:
        raise InputError(
            f"{name} needs to be shown what to look for in each image, which the data do not: "
            "choose a method that parts an image by itself"
        )
    return name


def _settings(
    method: str, words: Sequence[str], sweep: Sequence[str]
) -> dict[str, dict[str, object]]:
    """The options of each setting by its name, which says what is swept."""
    function = outline_of(METHODS[method])
    fixed = parse_settings(function, list(words))
    axes: list[list[tuple[str, dict[str, object]]]] = []
    for axis in sweep:
        option, equals, values = axis.partition("=")
        if not equals or not values:
            raise ValueError(f"--sweep {axis}: write option=value,value,...")
        axes.append([])
        for value in values.split(","):
            setting = parse_settings(function, [f"{option}={value}"])
            if next(iter(setting)) in fixed:
                raise ValueError(f"option {option} is both swept and fixed: leave one of them out")
            axes[-1].append((f"{next(iter(setting))}={value.strip()}", setting))
    settings: dict[str, dict[str, object]] = {}
    for chosen in itertools.product(*axes):
        options = dict(fixed)
        for _, setting in chosen:
            options |= setting
        settings[" ".join(name for name, _ in chosen) or " ".join(words) or _DEFAULTS] = options
    return settings
