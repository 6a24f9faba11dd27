"""Entries of a recipe: a `name` from a table, the other keys its options."""

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    PydanticSchemaGenerationError,
    TypeAdapter,
    model_validator,
)
from pydantic import ValidationError as PydanticError
from pydantic_core import ErrorDetails

from segscape.structures import RecipeError, SegscapeError

T = TypeVar("T")


class Entry(BaseModel):
    """A name from a table with the options of what it names.

    >>> Entry(name="poly", power=0.5).options
    {'power': 0.5}
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @model_validator(mode="before")
    @classmethod
    def _as_in_a_file(cls, given: object) -> object:
        """Tuples become lists: an entry built in Python equals the one read back from YAML."""
        return _listed(given)

    @property
    def options(self) -> dict[str, Any]:
        """The keys beside `name` (and the declared ones of a more special entry)."""
        return dict(self.model_extra or {})


def _listed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _listed(inner) for key, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, list | tuple) else value


def nearest(wrong: str, known: Collection[str]) -> str:
    """Help for a name that is not known.

    >>> nearest("unte", ["unet", "fcn"])
    "did you mean 'unet'? known: fcn, unet"
    >>> nearest("lr", ["beta1", "learning_rate"])
    "did you mean 'learning_rate'? known: beta1, learning_rate"
    """
    close = get_close_matches(wrong, list(known), n=1, cutoff=0.5)
    close = close or [name for name in sorted(known) if len(wrong) > 2 and wrong in name]
    close = close or [name for name in sorted(known) if wrong == _initials(name)]
    listed = f"known: {', '.join(sorted(known))}"
    return f"did you mean '{close[0]}'? {listed}" if close else listed


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))


def look_up(path: str, name: str, table: Mapping[str, T]) -> T:
    """The table's row of this name.

    Raises:
        RecipeError: naming the key path and the nearest known name.
    """
    if name not in table:
        raise RecipeError(f"{path}.name: '{name}' is not known: {nearest(name, table)}")
    return table[name]


def checked_options(
    path: str,
    options: Mapping[str, Any],
    function: Callable[..., Any],
    *,
    supplied: Collection[str] = (),
) -> dict[str, Any]:
    """The options as a function or dataclass takes them, lists made tuples and the like.

    Args:
        path: the entry's key path, for errors.
        options: what the recipe says.
        function: its signature names the options, its annotations their types.
        supplied: parameters that are not options: the caller gives them.

    Raises:
        RecipeError: for an unknown key, a missing one or a value of a wrong type.
    """
    parameters = inspect.signature(function).parameters
    known = {
        name: parameter
        for name, parameter in parameters.items()
        if name not in supplied and parameter.kind not in _VARIADIC
    }
    for key in options:
        if key not in known:
            raise RecipeError(f"{path}.{key}: unknown key: {nearest(key, known)}")
    for key, parameter in known.items():
        if parameter.default is parameter.empty and key not in options:
            raise RecipeError(f"{path}.{key}: missing: give it a value")
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError:  # an annotation that only a type checker can see
        hints = {}
    return {
        key: _checked(f"{path}.{key}", value, hints[key]) if key in hints else value
        for key, value in options.items()
    }


def under(path: str, options: Collection[str], error: SegscapeError) -> RecipeError:
    """An entry's error with its key path, down to the option where its words name only one.

    Args:
        path: the entry's.
        options: those that the recipe gives.
        error: what the named thing says of them.

    >>> str(under("losses.0", ["gamma"], SegscapeError("focal: gamma -1.0 is negative")))
    'losses.0.gamma: focal: gamma -1.0 is negative'
    """
    named = [key for key in options if re.search(rf"\b{re.escape(key)}\b", str(error))]
    return RecipeError(f"{path}.{named[0] if len(named) == 1 else ''}".rstrip(".") + f": {error}")


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_FINITE = ConfigDict(allow_inf_nan=False)


def _checked(path: str, value: object, hint: Any) -> object:  # noqa: ANN401 - any annotation
    try:
        adapter: TypeAdapter[object] = TypeAdapter(hint, config=_FINITE)
    except PydanticSchemaGenerationError:  # a tensor or the like: the function judges it
        return value
    try:
        return adapter.validate_python(value)
    except PydanticError as error:
        raise RecipeError(explain(error, path)) from error


# By the first word of pydantic's kind of error, as in `int_parsing`.
_EXPECTED = {
    "bool": "true or false",
    "dict": "keys with values",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "mapping": "keys with values",
    "model": "keys with values",
    "string": "text",
    "tuple": "a list",
}


def explain(error: PydanticError, path: str = "", model: type[BaseModel] | None = None) -> str:
    """The first finding of pydantic in one line: key path, what was got, what was expected."""
    findings = error.errors(include_url=False)
    first = findings[0]
    location = _keys(first["loc"])
    where = ".".join(([path] if path else []) + location) or "recipe"
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, location[:-1]) if model is not None else ()
        return f"{where}: unknown key: {nearest(location[-1], known)}"
    if first["type"] == "missing":
        return f"{where}: missing: give it a value"
    # A value that may be of several kinds has one finding for each.
    expected = [_expected(one) for one in findings if _keys(one["loc"]) == location]
    got = repr(first["input"])
    got = got if len(got) <= 80 else got[:77] + "..."
    return f"{where}: got {got}, expected {' or '.join(dict.fromkeys(expected))}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """The recipe's keys in pydantic's location, without the kinds of value it tried."""
    return [str(part) for part in location if not _KIND.match(str(part))]


_KIND = re.compile(r"(bool|int|float|str|none|dict|list|tuple)$|.*[\[(-]")


def _expected(finding: ErrorDetails) -> str:
    if finding["type"] == "too_short":
        return f"at least {finding.get('ctx', {}).get('min_length', 1)}"
    said = finding["msg"].replace("Input should be ", "").replace("Value error, ", "")
    return _EXPECTED.get(finding["type"].split("_")[0], said)


def _fields_at(model: type[BaseModel], location: list[str]) -> Collection[str]:
    for part in location:
        field = model.model_fields.get(part)
        kind = None if field is None else field.annotation
        # `Part | None` may be left out of a recipe.
        parts = [
            one
            for one in (kind, *get_args(kind))
            if inspect.isclass(one) and issubclass(one, BaseModel)
        ]
        if not parts:
            return ()
        model = parts[0]
    return tuple(model.model_fields)
