"""Which ids or colours in mask files mean which category."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from numpy.typing import NDArray
from torch import Tensor

from segscape.io.class_lists import ClassList, load_class_list, parse_class_list
from segscape.io.unknown_labels import unknown_colors, unknown_ids
from segscape.structures import DatasetError, LabelMap, MaskFileError, StructureError, Taxonomy
from segscape.structures.colors import Color, default_color
from segscape.structures.taxonomy import IGNORE_ID

_LARGEST_8, _LARGEST_16, _LARGEST_32 = 255, 65535, 2**32 - 1
_TABLE_LIMIT = 1 << 16
VOID_COLOR: Color = default_color(IGNORE_ID)


@dataclass(frozen=True)
class LabelCoding:
    """How categories are written in files; in memory their ids are always 0..n-1.

    Args:
        taxonomy: the categories.
        file_ids: `file_ids[i]` is the id that category i has in files.
        ignored_ids: ids in files that mean void. `void_id` always does as well.
        ignored_colors: colours in RGB-coded masks that mean void. `VOID_COLOR`, with which void is
            written, does as well unless a category has it.

    Raises:
        StructureError: when ids are not one per category, repeat, are negative or too large, or are
            a category's and ignored at once.
    """

    taxonomy: Taxonomy
    file_ids: tuple[int, ...]
    ignored_ids: frozenset[int] = field(default_factory=frozenset)
    ignored_colors: frozenset[Color] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        ids, count = self.file_ids, len(self.taxonomy)
        if len(ids) != count:
            raise StructureError(f"{len(ids)} file ids for {count} categories: give one each")
        for position, value in enumerate(ids):
            if not 0 <= value <= _LARGEST_32:
                raise StructureError(
                    f"id {value} of '{self.taxonomy.names[position]}' is outside 0..{_LARGEST_32}: "
                    "choose another (negative ids can only be ignored)"
                )
            if value in ids[:position]:
                first = self.taxonomy.names[ids.index(value)]
                raise StructureError(
                    f"id {value} stands for '{first}' and '{self.taxonomy.names[position]}': give "
                    "each category its own id"
                )
        both = sorted(set(ids) & self.ignored_ids)
        if both:
            name = self.taxonomy.names[ids.index(both[0])]
            raise StructureError(
                f"id {both[0]} is ignored and is the id of '{name}': take it out of one of the two"
            )
        named = {category.color: category.name for category in self.taxonomy.categories}
        for color in sorted(self.ignored_colors & named.keys()):
            raise StructureError(
                f"color {list(color)} is ignored and is the color of '{named[color]}': take it out "
                "of one of the two"
            )

    @classmethod
    def plain(cls, taxonomy: Taxonomy) -> "LabelCoding":
        """Ids in files as in memory, 0..n-1, and no ignored id but 255."""
        return cls(taxonomy, tuple(range(len(taxonomy))))

    @property
    def void_id(self) -> int:
        """The id with which void is written: 255, or 65535 where 255 is a category's."""
        for candidate in (_LARGEST_8, _LARGEST_16):
            if candidate not in self.file_ids:
                return candidate
        return max(self.file_ids) + 1

    @property
    def all_ignored(self) -> frozenset[int]:
        """Every id that is read as void."""
        return self.ignored_ids | {self.void_id}

    def ignoring(self, ids: Iterable[int]) -> "LabelCoding":
        """The same coding with more ignored ids.

        Raises:
            StructureError: when one of them is a category's.
        """
        ignored = self.ignored_ids | frozenset(ids)
        return LabelCoding(self.taxonomy, self.file_ids, ignored, self.ignored_colors)

    def to_labels(self, ids: Integer[Tensor, "height width"], *, source: str = "mask") -> LabelMap:
        """Translate ids from a file to categories.

        Args:
            ids: as stored in the file.
            source: the file, for the error.

        Raises:
            MaskFileError: when ids are neither a category's nor ignored; it lists them with their
                numbers of pixels and says what they look like.
        """
        values = ids.cpu().numpy()
        if values.size == 0:
            raise MaskFileError(f"{source}: has no pixels")
        small = values.dtype == np.uint8 and len(self.file_ids) < _LARGEST_8
        if small and (quick := self._translate(values)) is not None:
            return LabelMap(torch.from_numpy(quick), self.taxonomy)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= _TABLE_LIMIT:
            labels = self._search(values)
        else:
            labels = self._table(high)[values]
        if int(labels.min()) < 0:
            strange = values[labels < 0]
            raise unknown_ids(strange, values, self.file_ids, self.all_ignored, source)
        return LabelMap(torch.from_numpy(labels.astype(self._label_type)), self.taxonomy)

    def to_ids(self, label_map: LabelMap) -> Integer[Tensor, "height width"]:
        """Translate categories to the ids of files, ignored pixels to `void_id`.

        The result is `uint8`, `int32` or `int64`, the smallest that holds every id of the coding.

        Raises:
            StructureError: when the label map has other categories.
        """
        if label_map.taxonomy.names != self.taxonomy.names:
            raise StructureError(
                f"a label map of {', '.join(label_map.taxonomy.names)} cannot be written with the "
                f"ids of {', '.join(self.taxonomy.names)}: use the coding of its own classes"
            )
        ignore = label_map.taxonomy.ignore_id
        table = np.full(ignore + 1, self.void_id, self.id_type)
        table[: len(self.file_ids)] = self.file_ids
        labels = label_map.labels.cpu().numpy()
        return torch.from_numpy(table[labels])

    @property
    def id_type(self) -> type[np.uint8 | np.int32 | np.int64]:
        """The smallest type that holds every id of a category and of void."""
        most = max(*self.file_ids, self.void_id)
        if most <= _LARGEST_8:
            return np.uint8
        return np.int32 if most <= 2**31 - 1 else np.int64

    def colors_to_labels(
        self, colors: UInt8[Tensor, "3 height width"], *, source: str = "mask"
    ) -> LabelMap:
        """Translate an RGB-coded mask through the taxonomy's colours.

        Args:
            colors: red, green, blue.
            source: the file, for the error.

        Raises:
            MaskFileError: when a colour is neither a category's nor ignored; it lists the colours
                with their numbers of pixels.
        """
        packed = _pack(colors.permute(1, 2, 0).cpu().numpy())
        if packed.size == 0:
            raise MaskFileError(f"{source}: has no pixels")
        meaning = dict.fromkeys((VOID_COLOR, *self.ignored_colors), self.taxonomy.ignore_id)
        meaning |= {category.color: i for i, category in enumerate(self.taxonomy.categories)}
        known = _pack(np.array(list(meaning), np.uint8))
        labels = _look_up(packed, known, np.array(list(meaning.values()), np.int32))
        if int(labels.min()) < 0:
            raise unknown_colors(packed[labels < 0], source)
        return LabelMap(torch.from_numpy(labels.astype(self._label_type)), self.taxonomy)

    def to_mapping(self) -> dict[str, Any]:
        """The coding in numbers, texts and lists, as `classes_from_mapping` reads it."""
        categories = [
            {
                "name": category.name,
                "id": file_id,
                "color": list(category.color),
                "is_thing": category.is_thing,
                "part_of": category.part_of,
            }
            for category, file_id in zip(self.taxonomy.categories, self.file_ids, strict=True)
        ]
        ignored: list[Any] = sorted(self.ignored_ids)
        ignored += [list(color) for color in sorted(self.ignored_colors)]
        return {"categories": categories, "ignore": ignored}

    @property
    def _label_type(self) -> type[np.uint8 | np.int32]:
        return np.uint8 if self.taxonomy.ignore_id <= _LARGEST_8 else np.int32

    def _meanings(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        ignored = sorted(self.all_ignored)
        keys = np.array([*self.file_ids, *ignored], np.int64)
        void = [self.taxonomy.ignore_id] * len(ignored)
        return keys, np.array([*range(len(self.file_ids)), *void], np.int32)

    def _translate(self, values: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        """Labels of 8-bit ids, None when some are unknown; several times as fast as indexing."""
        unknown = len(self.file_ids)  # neither a category's label nor, at 255, the ignored one
        table = np.full(256, unknown, np.uint8)
        known = self._table(255)
        table[known >= 0] = known[known >= 0]
        labels = bytearray(values.tobytes()).translate(table.tobytes())
        if unknown in labels:
            return None
        return np.frombuffer(labels, np.uint8).reshape(values.shape)

    def _table(self, high: int) -> NDArray[Any]:
        keys, labels = self._meanings()
        table = np.full(high + 1, -1, np.int32)
        inside = (keys >= 0) & (keys <= high)
        table[keys[inside]] = labels[inside]
        # Two bytes per pixel are enough for the look-up, and twice as fast as four.
        return table.astype(np.int16) if self.taxonomy.ignore_id < 2**15 else table

    def _search(self, values: NDArray[Any]) -> NDArray[np.int32]:
        keys, labels = self._meanings()
        return _look_up(values.astype(np.int64), keys, labels)


def read_classes(path: str | Path) -> LabelCoding:
    """Read the classes of a data set from `classes.txt` or YAML.

    A text file holds one name per line; ids count from 0, and the id right after the last, n, is
    taken as void as well as 255: data sets such as CamVid write it so. A YAML file says more, and
    then only 255 and what its `ignore` lists is void: `class_lists.load_class_list` describes it.

    Raises:
        DatasetError: when the file is missing, is not text, or does not say this.
    """
    path = Path(path)
    return _coding(load_class_list(path), str(path))


def classes_from_mapping(mapping: object, source: str = "classes") -> LabelCoding:
    """Build the coding from parsed YAML or JSON: the inverse of `LabelCoding.to_mapping`.

    Args:
        mapping: `{"categories": [...], "ignore": [...]}` or a list of names.
        source: the file or recipe key, for the errors.

    Raises:
        DatasetError: naming source and key, what was found and what was expected.
    """
    return _coding(parse_class_list(mapping, source), source)


def _coding(classes: ClassList, source: str) -> LabelCoding:
    try:
        return LabelCoding(*classes)
    except StructureError as error:
        raise DatasetError(f"{source}: {error}") from error


def _pack(colors: NDArray[np.uint8]) -> NDArray[np.int32]:
    wide = colors.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _look_up(
    values: NDArray[Any], keys: NDArray[Any], labels: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The label of each value's key, -1 where it has none."""
    order = np.argsort(keys, kind="stable")
    keys, labels = keys[order], labels[order]
    place = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.where(keys[place] == values, labels[place], np.int32(-1))
