"""Where a data set's folder is looked for."""

import os
from pathlib import Path

from segscape.structures import DatasetError


def find_root(name: str) -> Path:
    """Find the folder of a data set.

    A relative name is looked for as given, then under $SEGSCAPE_DATA, ./data, ../shared/data and
    ../shared.

    Raises:
        DatasetError: when it is in none of these places, naming them, or is a file.
    """
    given = Path(name).expanduser()
    places = [given]
    if not given.is_absolute():
        if variable := os.environ.get("SEGSCAPE_DATA"):
            places.append(Path(variable).expanduser() / given)
        places += [Path(parent) / given for parent in ("data", "../shared/data", "../shared")]
    for place in places:
        if place.is_dir():
            return place
        if place.is_file():
            raise DatasetError(f"{place}: is a file, expected the folder of a data set")
    tried = ", ".join(str(place) for place in places)
    cure = "check the name"
    if len(places) > 1 and "SEGSCAPE_DATA" not in os.environ:
        cure += ", or set SEGSCAPE_DATA to the folder that holds your data sets"
    raise DatasetError(f"data folder '{name}' not found: looked for {tried}: {cure}")
