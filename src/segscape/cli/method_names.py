"""Which method a word on the command line means."""

import difflib

from segscape.classical import METHODS
from segscape.cli.input_error import InputError


def method_named(word: str, *others: str) -> str:
    """The name in `METHODS` of the method meant; hyphens, underscores and capitals do not count.

    Args:
        word: as it was written.
        others: what else could have been meant there.

    Raises:
        InputError: when there is none, with the nearest.
    """
    asked = _plain(word)
    names = {_plain(name): name for name in METHODS}
    if asked in names:
        return names[asked]
    # As the functions are called, too: `normalized_cut` is `ncut`.
    functions = {_plain(entry.function): name for name, entry in METHODS.items()}
    meant = {_plain(name): name for name in others} | functions | names
    near = difflib.get_close_matches(asked, meant, n=1)
    hint = f"did you mean '{meant[near[0]]}'?" if near else f"there are {', '.join(METHODS)}"
    raise InputError(f"unknown method '{word}': {hint}")


def _plain(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "").strip()
