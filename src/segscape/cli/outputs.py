"""Places for results, refused before the work that would be lost."""

from pathlib import Path

from segscape.structures import OutputError


def refuse_folder(path: Path | None) -> None:
    """Refuse a place for a file that is a folder.

    Raises:
        OutputError: when it is one.
    """
    if path is not None and path.is_dir():
        raise OutputError(f"{path}: is a folder, a file was to be written: name a file in it")


def refuse_file(path: Path) -> None:
    """Refuse a place for a folder that is a file.

    Raises:
        OutputError: when it is one.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: is a file, a folder was to be filled: choose another --out")
