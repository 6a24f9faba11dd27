"""Integers of single images under their keys: the state of metrics that compare images."""

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from segscape.structures.errors import StructureError


class ImageTable:
    """One array of integers for each image.

    What is computed from it depends neither on the order of images nor on how many processes shared
    them: an image that is met twice counts once.

    Args:
        name: of the metric, for errors.

    >>> table = ImageTable("hits")
    >>> table.add("a", np.array([3, 4]))
    >>> table.add("a", np.array([3, 4]))
    >>> table.stacked().tolist()
    [[3, 4]]
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: dict[str, ndarray] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """The images counted so far, sorted."""
        return tuple(sorted(self._rows))

    def add(self, key: str, counts: Int64[ndarray, "..."]) -> None:
        """Count one image.

        Raises:
            StructureError: when the image was counted before with another result.
        """
        if not np.array_equal(self._rows.setdefault(key, counts), counts):
            raise StructureError(
                f"{self._name}: image '{key}' was counted before with another result: "
                "give each image a key of its own and predict it once"
            )

    def merge(self, other: "ImageTable") -> None:
        """Count the images of another table, too; `other` is left as it is.

        Raises:
            StructureError: when both counted an image differently.
        """
        for key, counts in other._rows.items():  # noqa: SLF001 # its own class
            self.add(key, counts)

    def row(self, key: str) -> Int64[ndarray, "..."]:
        """The integers of one image.

        Raises:
            StructureError: when no image of this key was counted.
        """
        if key not in self._rows:
            raise StructureError(f"{self._name}: no image '{key}' was counted: see .keys")
        return self._rows[key]

    def rows(self) -> list[Int64[ndarray, "..."]]:
        """The integers of all images, sorted by key.

        Raises:
            StructureError: when no image was counted.
        """
        if not self._rows:
            raise StructureError(f"{self._name}: no image was counted: call update first")
        return [self._rows[key] for key in self.keys]

    def stacked(self) -> Int64[ndarray, "image ..."]:
        """Those of all images as one array, where all are of one shape.

        Raises:
            StructureError: when no image was counted.
        """
        return np.stack(self.rows())
