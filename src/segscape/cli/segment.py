"""`segscape segment METHOD IMAGE... --out DIR`: the methods without training.

Each method is a command whose options and help come from the function's signature and docstring.
Only the method that is asked for is imported; the others are listed by their one line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.markup import escape

from segscape.classical import METHODS, MethodEntry

if TYPE_CHECKING:
    from segscape.classical.method_options import MethodOption

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
        command(_command(name, entry) if name == asked else _nothing)
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


def _command(name: str, entry: MethodEntry) -> Callable[..., None]:
    """A function whose signature is that of the command line."""
    from segscape.classical.method_options import (
        argument_helps,
        drawn_inputs,
        method_options,
        summary_of,
    )

    method = entry.load()
    options, drawn, helps = method_options(method), drawn_inputs(method), argument_helps(method)
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
    parameters += [_option(option) for option in options]
    parameters += [
        _parameter("json", Path | None, typer.Option(help="Also write a summary as JSON."), None),
        _parameter(
            "overwrite",
            bool,
            typer.Option("--overwrite", help="Replace results that are there."),
            False,
        ),
    ]

    def command(**given: Any) -> None:  # noqa: ANN401 - what the signature says
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
            is_shown=entry.is_shown,
            name=name,
        )

    command.__doc__ = escape(f"{summary_of(method)}\n\n{entry.paper}")
    command.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess] - as PEP 362
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _option(option: MethodOption) -> inspect.Parameter:
    kinds = get_args(option.type)
    if option.type in (int, float, bool, str) or all(isinstance(kind, str) for kind in kinds):
        return _parameter(
            option.name, option.type, typer.Option(help=_sentence(option.help)), option.default
        )

    from segscape.structures.errors import MethodError

    def parse(value: object) -> object:
        if not isinstance(value, str):  # the default itself
            return value
        try:
            return option.parse(value)
        except MethodError as error:
            raise typer.BadParameter(str(error)) from None

    # What typer has no type for, as `float | None` that takes "none", is read by the option itself.
    words = [getattr(kind, "__name__", str(kind)).replace("NoneType", "none") for kind in kinds]
    info = typer.Option(
        help=_sentence(option.help),
        parser=parse,
        metavar="|".join(words),
        show_default=_shown(option.default),
    )
    return _parameter(option.name, Any, info, option.default)


def _shown(default: object) -> str | bool:
    return False if default is None else str(default)


def _parameter(name: str, kind: object, info: object, *default: object) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind, info],
        default=default[0] if default else inspect.Parameter.empty,
    )


def _sentence(text: str) -> str:
    # A single letter is a symbol of the paper.
    begins = text[:1].upper() if text[1:2].isalpha() else text[:1]
    return escape(begins + text[1:])
