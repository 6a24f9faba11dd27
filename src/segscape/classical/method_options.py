"""The options of a method, read from its signature and its docstring: nothing is said twice.

The command line reads both from the source (`outline_of`): torch and numba take seconds to import,
for which neither `--help` nor a mistyped option should wait.
"""

import ast
import difflib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from segscape.classical import MethodEntry

# What a person draws in each image: not an option, but an input.
DRAWN = ("marks", "box")


@dataclass(frozen=True)
class MethodOption:
    """One option of a method.

    Args:
        name: of the keyword.
        type: its annotation.
        default: its value when it is left out.
        help: meaning, unit and range, from the docstring.
    """

    name: str
    type: Any
    default: object
    help: str

    def parse(self, text: str) -> object:
        """Read a value as it is written on the command line; parts of a tuple are joined by `:`.

        Raises:
            ValueError: when it is of another type; in one line, with the cure.
        """
        from pydantic import TypeAdapter, ValidationError

        if text.lower() == "none" and type(None) in get_args(self.type):
            value: object = None
        elif get_origin(self.type) is tuple:
            value = text.split(":")
        elif get_origin(self.type) is Literal:
            value = next((kind for kind in get_args(self.type) if str(kind) == text), text)
        else:
            value = text
        try:
            return TypeAdapter(self.type).validate_python(value)
        except ValidationError as error:
            cause = error.errors()[0]["msg"].lower()
            raise ValueError(f"option {self.name}={text}: {cause}; {self.help}") from None

    @property
    def text(self) -> str | None:
        """The default as `parse` reads it; None for no value."""
        if isinstance(self.default, tuple):
            return ":".join(map(str, self.default))
        return None if self.default is None else str(self.default)


def outline_of(entry: MethodEntry) -> Callable[..., None]:
    """A method's signature and docstring in a function that does nothing, its file not imported.

    Only the options keep their annotations: those of images and marks need torch.
    """
    path, lines = _source(f"segscape.classical.{entry.module}")
    function = next(
        line for line in lines if isinstance(line, ast.FunctionDef) and line.name == entry.function
    )
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.arg in DRAWN or argument not in arguments.kwonlyargs:
            argument.annotation = None
    function.returns, function.body = None, function.body[:1]
    # Such as `Cut = Literal["simultaneous", "recursive"]`, above it or in a neighbour.
    aliases = _choices(lines)
    for line in lines:
        if isinstance(line, ast.ImportFrom) and (line.module or "").startswith(
            "segscape.classical."
        ):
            imported = {name.name for name in line.names}
            aliases += [
                alias
                for alias in _choices(_source(line.module)[1])
                if ast.unparse(alias.targets[0]) in imported
            ]
    names: dict[str, Any] = {"Literal": Literal}
    module = ast.Module([*aliases, function], type_ignores=[])
    exec(compile(module, path, "exec"), names)  # noqa: S102 - our own source
    return names[entry.function]


def _choices(lines: list[ast.stmt]) -> list[ast.Assign]:
    return [
        line
        for line in lines
        if isinstance(line, ast.Assign) and ast.unparse(line.value).startswith("Literal[")
    ]


def _source(module: str | None) -> tuple[Path, list[ast.stmt]]:
    spec = find_spec(module or "")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    path = Path(spec.origin)
    return path, ast.parse(path.read_text("utf-8")).body


def method_options(method: Callable[..., object]) -> tuple[MethodOption, ...]:
    """The keyword-only options of a method, in order; what is drawn is left out."""
    helps = argument_helps(method)
    types = get_type_hints(method)
    return tuple(
        MethodOption(name, types[name], parameter.default, helps.get(name, ""))
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in DRAWN
    )


def drawn_inputs(method: Callable[..., object]) -> tuple[str, ...]:
    """Which of `marks` and `box` a method takes."""
    return tuple(name for name in DRAWN if name in inspect.signature(method).parameters)


def parse_settings(method: Callable[..., object], words: list[str]) -> dict[str, object]:
    """Read `option=value` words.

    Args:
        method: whose options they are.
        words: hyphens in names count as underscores.

    Raises:
        ValueError: for a word without `=`, an unknown option or a value of another type; in one
            line, with the cure.

    >>> def blur(image: object, *, radius_px: float = 1.0) -> None: ...
    >>> parse_settings(blur, ["radius-px=2.5"])
    {'radius_px': 2.5}
    """
    options = {option.name: option for option in method_options(method)}
    settings: dict[str, object] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise ValueError(f"'{word}' is no option: write option=value")
        if name not in options:
            near = difflib.get_close_matches(name, options, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(options)}"
            raise ValueError(f"unknown option '{name}': {hint}")
        settings[name] = options[name].parse(text.strip())
    return settings


def argument_helps(method: Callable[..., object]) -> dict[str, str]:
    """The sentences of a docstring's `Args:`, by argument.

    >>> def blur(image: object) -> None:
    ...     '''Blur.
    ...
    ...     Args:
    ...         image: of any
    ...             size.
    ...     '''
    >>> argument_helps(blur)
    {'image': 'of any size.'}
    """
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)*)", inspect.getdoc(method) or "", re.M)
    helps: dict[str, str] = {}
    name = ""
    for line in section[1].splitlines() if section else ():
        begins = re.match(r" {4}(\w+): (.*)", line)
        if begins:
            name = begins[1]
            helps[name] = begins[2].strip()
        elif name and line.strip():
            helps[name] += " " + line.strip()
    return helps


def summary_of(method: Callable[..., object]) -> str:
    """The docstring's text above `Args:`, a line for each paragraph."""
    paragraphs = (inspect.getdoc(method) or "").partition("\nArgs:")[0].strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
