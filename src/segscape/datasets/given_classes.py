"""Classes that the user gives instead of the layout's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from segscape.io.label_coding import LabelCoding, classes_from_mapping, read_classes
from segscape.structures import DatasetError, StructureError

Classes = Mapping[str, object] | Path | None


def given_coding(classes: Mapping[str, object] | Path) -> LabelCoding:
    """Read classes from a file, or take them as they stand.

    Raises:
        DatasetError: when they are missing or malformed.
    """
    return read_classes(classes) if isinstance(classes, Path) else classes_from_mapping(classes)


def ignoring(coding: LabelCoding, ids: Sequence[int]) -> LabelCoding:
    """The coding with more ignored ids.

    Raises:
        DatasetError: when one of them is a category's.
    """
    try:
        return coding.ignoring(ids) if ids else coding
    except StructureError as error:
        raise DatasetError(f"ignore {', '.join(map(str, ids))}: {error}") from error
