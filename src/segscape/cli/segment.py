"""`segscape segment METHOD IMAGE... --out DIR`: the methods without training.

Each method is a command whose options and help come from its function's signature and docstring, as
they stand in the source: the function is imported when the command line has been understood, since
torch and numba, which it needs, take seconds.
"""

from __future__ import annotations

import glob
import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.markup import escape

from segscape.classical import METHODS, MethodEntry
from segscape.cli.input_error import InputError
from segscape.cli.method_names import method_named

if TYPE_CHECKING:
    from segscape.classical.method_options import MethodOption

COMPARE = "compare"
_MOST_LETTERS = 10
# A letter of the paper or a choice begins as it is written.
_SYMBOL = re.compile(r"[b-zA-Z]\b|\w_|\w+:")


def commands(words: Sequence[str]) -> typer.Typer:
    """Build the command of one method in full, and list the others.

    Args:
        words: what follows `segscape segment`.

    Raises:
        InputError: when the first word names no method.
    """
    group = typer.Typer(rich_markup_mode="rich")
    group.callback(help="Segment images without training.")(_nothing)
    asked = words[0] if words else ""
    if asked != COMPARE and not asked.startswith("-"):
        asked = method_named(asked, COMPARE) if asked else ""
    for name, entry in METHODS.items():
        if name == asked:
            group.command(words[0])(_command(name, entry))
        else:
            group.command(name, help=f"{entry.summary} [dim]{entry.paper}[/]")(_nothing)
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
        outline_of,
        summary_of,
    )

    outline = outline_of(entry)
    options, drawn, helps = method_options(outline), drawn_inputs(outline), argument_helps(outline)
    names = {option.name for option in options}
    parameters = [
        _parameter(
            "images",
            list[Path],
            typer.Argument(
                help="Image files, folders (searched through) or patterns.",
                callback=_refuse_missing,
            ),
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
                    f"the images. {_sentence(helps.get('marks', ''), names)}",
                    callback=_refuse_missing,
                ),
                None,
            )
        )
    if "box" in drawn:
        parameters.append(
            _parameter(
                "box",
                tuple[int, int, int, int] | None,
                typer.Option(
                    metavar="LEFT TOP\nRIGHT BOTTOM", help=_sentence(helps.get("box", ""), names)
                ),
                None,
            )
        )
    parameters += [_option(option, names) for option in options]
    parameters += [
        _parameter("json", Path | None, typer.Option(help="Also write a summary as JSON."), None),
        _parameter(
            "overwrite",
            bool,
            typer.Option("--overwrite", metavar="", help="Replace results that are there."),
            False,
        ),
    ]

    def command(**given: Any) -> None:  # noqa: ANN401 - what the signature says
        if entry.is_shown and all(given.get(way) is None for way in drawn):
            raise InputError(f"{name} needs to be shown what to look for: {how_to_show(drawn)}")
        from segscape.cli.segmenting import segment_files

        segment_files(
            entry.load(),
            given.pop("images"),
            given.pop("out"),
            marks=given.pop("marks", None),
            box=given.pop("box", None),
            summary=given.pop("json"),
            overwrite=given.pop("overwrite"),
            options=given,
            name=name,
        )

    command.__doc__ = escape(f"{summary_of(outline)}\n\n{entry.paper}")
    command.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess] - as PEP 362
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _refuse_missing(given: list[Path] | Path | None) -> list[Path] | Path | None:
    """Refuse a file that is not there before anything is imported to read it."""
    for path in given if isinstance(given, list) else () if given is None else (given,):
        if not path.exists() and not (isinstance(given, list) and glob.has_magic(str(path))):
            raise InputError(f"{path}: no such file or folder: check the name")
    return given


def _option(option: MethodOption, names: set[str]) -> inspect.Parameter:
    kinds, words = get_args(option.type), _sentence(option.help, names)
    listed = [getattr(kind, "__name__", str(kind)).replace("NoneType", "none") for kind in kinds]
    # One kind below the other: a wide column would cut the names of options short.
    apart = "|" if len("|".join(listed)) <= _MOST_LETTERS else "|\n"
    metavar = "" if option.type is bool else f"<{apart.join(listed)}>"
    if option.type in (int, float, bool, str) or all(isinstance(kind, str) for kind in kinds):
        info = typer.Option(help=words, metavar=metavar if kinds or not metavar else None)
        return _parameter(option.name, option.type, info, option.default)

    def parse(text: str) -> object:
        try:
            return option.parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    # What typer has no type for, as `float | None` that takes "none", is read by the option itself.
    info = typer.Option(help=words, parser=parse, metavar=metavar)
    return _parameter(option.name, Any, info, option.text)


def how_to_show(drawn: Sequence[str]) -> str:
    """What to give a method that takes marks, a box or both."""
    ways = {
        "marks": "--marks FILE (scribbles as PNG or JSON)",
        "box": "--box LEFT TOP RIGHT BOTTOM",
    }
    return "give " + " or ".join(ways[name] for name in drawn)


def _parameter(name: str, kind: object, info: object, *default: object) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind, info],
        default=default[0] if default else inspect.Parameter.empty,
    )


def _sentence(text: str, names: set[str]) -> str:
    begins = text if _SYMBOL.match(text) else text[:1].upper() + text[1:]
    return escape(re.sub(r"`(\w+)`", lambda word: _written(word[1], names), begins))


def _written(word: str, names: set[str]) -> str:
    """An option as it is written on the command line; other code as it is."""
    return f"--{word.replace('_', '-')}" if word in names else word
