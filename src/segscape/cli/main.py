"""The `segscape` command: one verb per job, errors in one line, exit code 2 for bad input."""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn, cast

import typer
from rich.console import Console

from segscape.cli.input_error import InputError

# Each verb is the function of its name in the module of its name beside this one.
VERBS = {
    "demo": "Train, judge and use a model on drawn scenes: no data, no download, minutes.",
    "models": "List the networks: task, paper, parameters, strides, receptive field.",
    "check": "Examine a data set before training: ids, pairs, sizes, duplicates, balance.",
    "train": "Train a recipe; --resume continues a stopped run to the same bits.",
    "evaluate": "Judge a run or a method on labelled images: table, JSON and HTML report.",
    "compare": "Set several runs side by side on the same images: one HTML page.",
    "tune": "Search the dense CRF that suits a run on labelled images.",
    "predict": "Write masks for images of any size.",
    "segment": "Segment images without training: clusters, superpixels, cuts; or compare them.",
}
# Verbs that are groups of commands: their module's `commands(words)` builds what is asked for.
GROUPS = ("segment",)

# What typer raises for a command line it cannot read: the parent of the error it exports.
_Misuse = cast("type[typer.BadParameter]", typer.BadParameter.__bases__[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb and leave with its exit code: 0, 1 for a verdict of no, 2 for bad input."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    warnings.showwarning = _show_warning
    verb = words[0] if words[0] in VERBS else None
    if any(not word.strip() for word in words):  # a path of no letters would be this folder
        _complain("an argument is empty: give it a value, or leave it and its option out")
    try:
        if verb in GROUPS and len(words) == 1:
            words = [*words, "--help"]
        code: object = application(verb, words[1:])(words, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except _Misuse as error:
        usage = " ".join(["segscape", *(_asked(error) or [verb] if verb else []), "--help"])
        _complain(f"{error.format_message().rstrip('.')}: see '{usage}'")
    except InputError as error:
        _complain(str(error))
    except typer.Abort:
        sys.exit(130)
    except ValueError as error:
        # Imported here because the nouns bring torch along, for which `--help` should not wait.
        from segscape.structures.errors import SegscapeError

        if not isinstance(error, SegscapeError):
            raise
        _complain(str(error))
    except BrokenPipeError:  # the reader of a pipe, as `| head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _asked(error: Exception) -> list[str]:
    """The verb, and the method of a group, whose command line could not be read."""
    names: list[str] = []
    context = getattr(error, "ctx", None)
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name or "")
        context = context.parent
    return names


def _complain(words: str) -> NoReturn:
    # Not through markup: file names may hold square brackets.
    Console(stderr=True).print(f"segscape: {words}", style="red", markup=False, soft_wrap=True)
    sys.exit(2)


def application(verb: str | None, words: Sequence[str] = ()) -> typer.Typer:
    """Build the command with one verb imported; the others are listed by their one line.

    `words` are those after the verb, of which a group of commands imports the first alone.

    Importing only what runs keeps `segscape --help` from waiting for torch.
    """
    application = typer.Typer(
        help="The whole of image segmentation behind one small set of nouns.",
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    application.callback()(_version_option)
    for name, line in VERBS.items():
        if name == verb and name in GROUPS:
            group: typer.Typer = import_module(f"segscape.cli.{name}").commands(words)
            application.add_typer(group, name=name)
            continue
        function = _verb(name) if name == verb else _listed
        application.command(name, help=line if name != verb else None)(function)
    return application


def _verb(name: str) -> Callable[..., None]:
    return getattr(import_module(f"segscape.cli.{name}"), name)


def _listed() -> None:
    """Stand for a verb that is listed but was not asked for."""


def _print_version(asked: bool) -> bool:
    if asked:
        from segscape import __version__

        typer.echo(f"segscape {__version__}")
        raise typer.Exit
    return asked


def _version_option(
    version: bool = typer.Option(
        False, "--version", help="Print the version and stop.", callback=_print_version
    ),
) -> None:
    """Segment images: classical methods and networks, trained, judged and used by one tool."""


def _show_warning(message: Warning | str, category: type[Warning], *_: object) -> None:
    """Show our own warnings as one line; those of libraries are not for the user."""
    if category.__name__ == "SegscapeWarning":
        Console(stderr=True).print(
            f"segscape: {message}", style="yellow", markup=False, soft_wrap=True
        )


if __name__ == "__main__":
    main()
