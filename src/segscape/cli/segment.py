"""`segscape segment METHOD IMAGE... --out DIR`: the methods without training.

Each method is a command whose options and help come from the function's signature and docstring.
Only the method that is asked for is imported; the others are listed by their one line.
"""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from segscape.classical import METHODS, MethodEntry

COMPARE = "compare"


def commands(words: Sequence[str]) -> typer.Typer:
    """Build the command of one method in full, and list the others.

    Args:
        words: what follows `segscape segment`.
    """
    group = typer.Typer(rich_markup_mode="rich")
    group.callback(help="Segment images without training.")(_nothing)
    asked = words[0].replace("-", "_") if words else ""
    for name, entry in METHODS.items():
        help_line = f"{entry.summary} [dim]{entry.paper}[/]"
        command = group.command(
            words[0] if name == asked else name, help=None if name == asked else help_line
        )
        command(_command(entry) if name == asked else _nothing)
    if asked == COMPARE:
        from segscape.cli.segment_compare import compare

        group.command(COMPARE)(compare)
    else:
        group.command(COMPARE, help="All methods side by side on an image: one HTML page.")(
            _nothing
        )
    return group


def _nothing() -> None:
    """Stand for a command that is listed but was not asked for."""


def _command(entry: MethodEntry) -> Callable[..., None]:
    """A function whose signature is that of the command line."""
    from segscape.classical.method_options import (
        argument_helps,
        drawn_inputs,
        method_options,
        summary_of,
    )

    method = entry.load()
    options, drawn, helps = method_options(method), drawn_inputs(method), argument_helps(method)
    Parameter = inspect.Parameter
    parameters = [
        _parameter(
            "images",
            list[Path],
            typer.Argument(help="Image files, folders (searched through) or patterns."),
        ),
        _parameter("out", Path, typer.Option(help="The folder for the results.")),
    ]
    if "marks" in drawn:
        parameters.append(
            _parameter(
                "marks",
                Path | None,
                typer.Option(
                    help="What is marked: a PNG or JSON file, or a folder of such files named as "
                    f"the images. {_sentence(helps.get('marks', ''))}"
                ),
                None,
            )
        )
    if "box" in drawn:
        parameters.append(
            _parameter(
                "box",
                tuple[int, int, int, int] | None,
                typer.Option(metavar="LEFT TOP RIGHT BOTTOM", help=_sentence(helps.get("box", ""))),
                None,
            )
        )
    for option in options:
        is_required = option.default is Parameter.empty
        parameters.append(
            _parameter(
                option.name,
                option.type,
                typer.Option(help=_sentence(option.help)),
                *([] if is_required else [option.default]),
            )
        )
    parameters += [
        _parameter("json", Path | None, typer.Option(help="Also write a summary as JSON."), None),
        _parameter(
            "overwrite",
            bool,
            typer.Option("--overwrite", help="Replace results that are there."),
            False,
        ),
    ]

    def command(**given: Any) -> None:
        from segscape.cli.segmenting import segment_files

        segment_files(
            method,
            given.pop("images"),
            given.pop("out"),
            marks=given.pop("marks", None),
            box=given.pop("box", None),
            summary=given.pop("json"),
            overwrite=given.pop("overwrite"),
            options=given,
            name=entry.function,
        )

    command.__doc__ = escape(f"{summary_of(method)}\n\n{entry.paper}")
    command.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _parameter(name: str, kind: Any, info: Any, *default: object) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind, info],
        default=default[0] if default else inspect.Parameter.empty,
    )


def _sentence(text: str) -> str:
    return escape(text[:1].upper() + text[1:])
