"""HTML files that stand alone."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from segscape.io.atomic import atomic_file

MOST_BYTES = 5_000_000
# Tried in turn until the page is small enough; the last one is taken in any case.
LONGEST_SIDES = (480, 320, 200, 120)


def template(name: str) -> Template:
    """A template of this folder; every name from outside is escaped, a missing one an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def write_page(path: Path, render: Callable[[int], str]) -> None:
    """Write a page with pictures as large as its size in bytes allows, complete or not at all.

    Args:
        path: the HTML file; replaced when it exists.
        render: makes the page with pictures of a longest side in pixels.

    Raises:
        OutputError: when the file cannot be written.
    """
    page = ""
    for longest_side in LONGEST_SIDES:
        page = render(longest_side)
        if len(page.encode()) < MOST_BYTES:
            break
    with atomic_file(path) as draft:
        draft.write_text(page, "utf-8")
