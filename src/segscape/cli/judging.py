"""What `segscape evaluate` needs around the judging: the model, places, facts."""

import json
from pathlib import Path
from typing import Any

from segscape.cli.joined_runs import proposals_of
from segscape.evaluation.evaluation import Fact
from segscape.inference.ensemble import Ensemble
from segscape.inference.precision import check_precision
from segscape.inference.refinement import Refiner
from segscape.inference.run_folder import model_folder
from segscape.inference.segmenter import Segmenter
from segscape.io.atomic import atomic_file
from segscape.models.model_files import WEIGHTS_FILE, read_description
from segscape.structures import Size
from segscape.training.recipe import Prediction, Recipe


def report_place(run: Path, limit: int | None) -> Path:
    """In the run; beside the caller for a model folder, which is not ours to write into.

    The report of some of the images does not take the place of that of all.
    """
    name = "report.html" if limit is None else f"report_first_{limit}.html"
    return Path(name) if (run / "model.json").is_file() else run / name


def open_segmenter(
    run: Path,
    recipe: Recipe | None,
    *,
    device: str,
    precision: str,
    flips: bool | None = None,
    turns: bool | None = None,
    scales: list[float] | None = None,
    tile: tuple[int, int] | None = None,
    proposals: int | None = None,
    ensemble: Ensemble | None = None,
    refiner: Refiner | None = None,
) -> Segmenter:
    """The run's model, used as its recipe says where the command line says nothing.

    The runs that it is joined with are `ensemble`, whatever the recipe says.

    Raises:
        SegscapeError: when there is no model or an option cannot be used.
    """
    usual = Prediction() if recipe is None else recipe.prediction
    window = tile or usual.tile
    return Segmenter.load(
        run,
        tile=None if window is None else Size(*window),
        # The recipe's overlap belongs to its tile.
        overlap=usual.overlap if tile is None else None,
        flips=usual.flips if flips is None else flips,
        turns=usual.turns if turns is None else turns,
        scales=tuple(scales or usual.scales),
        proposals=proposals_of(usual, proposals),
        ensemble=ensemble,
        refiner=refiner,
        device=device,
        precision=check_precision(precision),
    )


def model_facts(run: Path, segmenter: Segmenter) -> dict[str, Fact]:
    """What the report says about the model and how it was used.

    Raises:
        CheckpointError: when the folder holds no model.
    """
    folder = model_folder(run)
    description = read_description(folder)
    facts: dict[str, Fact] = {"run": run.resolve().name, "model": description["name"]}
    facts |= {name: _fact(value) for name, value in description["options"].items()}
    facts["weights"] = f"{(folder / WEIGHTS_FILE).stat().st_size / 2**20:.1f} MiB"
    facts |= {name: _fact(value) for name, value in segmenter.options.items()}
    if segmenter.ensemble is not None:
        # Names for people, where the options hold fingerprints.
        facts["ensemble"] = f"{segmenter.ensemble.rule} with {', '.join(segmenter.ensemble.others)}"
    return facts


def _fact(value: object) -> Fact:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return value if isinstance(value, str | int | float) or value is None else str(value)


def write_json(path: Path, numbers: dict[str, Any]) -> None:
    """Write all numbers, as `to_json` gives them.

    Raises:
        OutputError: when the file cannot be written.
    """
    with atomic_file(path) as draft:
        text = json.dumps(numbers, indent=2, ensure_ascii=False, allow_nan=False)
        draft.write_text(text + "\n", "utf-8")
