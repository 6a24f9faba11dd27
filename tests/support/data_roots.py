"""Where the real images are, for tests that need them."""

import os
from pathlib import Path

import pytest


def data_root(name: str) -> Path:
    """The folder of a data set under $SEGSCAPE_DATA or ../shared/data; skips the test without."""
    repository = Path(__file__).parents[2]
    places = [repository.parent / "shared" / "data" / name]
    if root := os.environ.get("SEGSCAPE_DATA"):
        places.insert(0, Path(root) / name)
    for place in places:
        if place.is_dir():
            return place
    pytest.skip(f"no {name} in {' or '.join(str(place.parent) for place in places)}")
