"""What `--proposals`, `--with` and `--rule` say, where a command line and a recipe meet."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from segscape.inference.ensemble import Ensemble
    from segscape.inference.proposals import Proposals
    from segscape.training.recipe import Prediction

ProposalsOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Score so many object proposals instead of the whole image, as DeconvNet's paper does;"
        " 0 for the image.",
    ),
]
OthersOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        metavar="RUN",
        help="Join the scores with this run's, used as its recipe says; may be repeated.",
    ),
]
RuleOption = Annotated[
    str | None,
    typer.Option(
        help="How runs are joined: mean of probabilities, or product of scores; mean if left out."
    ),
]


def proposals_of(usual: "Prediction", count: int | None) -> "Proposals | None":
    """The proposals asked for, or the recipe's; 0 means none."""
    from segscape.inference.proposals import Proposals

    wanted = usual.proposals if count is None else count
    return Proposals(wanted) if wanted else None


def ensemble_of(
    usual: "Prediction",
    others: Sequence[Path] | None,
    rule: str | None,
    device: str,
    precision: str,
) -> "Ensemble | None":
    """Open the runs to join, those asked for or the recipe's; None when there are none.

    Raises:
        SegscapeError: when one holds no model, or there is no such rule or nothing it could join.
    """
    from segscape.cli.judging import open_segmenter
    from segscape.inference.ensemble import Ensemble, check_rule
    from segscape.structures import StructureError
    from segscape.training.recipe import read_recipe

    known = usual.ensemble
    folders = others or ([] if known is None else [Path(run) for run in known.runs])
    chosen = check_rule(rule or ("mean" if known is None else known.rule))
    if not folders:
        if rule is not None:
            raise StructureError(f"--rule {rule}: says how runs are joined: name one, --with RUN")
        return None
    members = {
        str(run): open_segmenter(
            run,
            read_recipe(run) if (run / "recipe.yaml").is_file() else None,
            device=device,
            precision=precision,
        )
        for run in folders
    }
    return Ensemble(members, chosen)
