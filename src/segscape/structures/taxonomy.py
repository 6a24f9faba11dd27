"""What category ids mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from segscape.structures.colors import Color, colors_for
from segscape.structures.errors import StructureError

IGNORE_ID = 255


@dataclass(frozen=True)
class Category:
    """One meaning a pixel can have.

    Args:
        name: unique within the taxonomy.
        color: red, green, blue in 0..255, unique within the taxonomy.
        is_thing: True for countable objects, False for stuff such as sky.
        part_of: name of the whole this is a part of, as `wheel` of `car`.
    """

    name: str
    color: Color
    is_thing: bool = False
    part_of: str | None = None


@dataclass(frozen=True)
class Taxonomy:
    """The categories, in the order of their ids 0..n-1, and the id of ignored pixels.

    Raises:
        StructureError: for no categories, two of one name or colour, a colour outside 0..255, an
            ignored id that names a category or is negative, or a part of itself or of an unknown
            whole.
    """

    categories: tuple[Category, ...]
    ignore_id: int = IGNORE_ID

    def __post_init__(self) -> None:
        if not self.categories:
            raise StructureError("Taxonomy got no categories: name at least one")
        self._refuse_twice("name", [category.name for category in self.categories])
        self._refuse_twice("color", [category.color for category in self.categories])
        if 0 <= self.ignore_id < len(self.categories):
            raise StructureError(
                f"Taxonomy: ignore_id {self.ignore_id} is the id of category "
                f"'{self.categories[self.ignore_id].name}': choose one of {len(self)} or more"
                + (" (65535 is usual beyond 255 categories)" if len(self) > IGNORE_ID else "")
            )
        if self.ignore_id < 0:
            raise StructureError(
                f"Taxonomy: ignore_id {self.ignore_id} is negative, which unsigned labels cannot "
                f"hold: choose one of {len(self)} or more (255 is usual)"
            )
        for category in self.categories:
            if any(not 0 <= value <= 255 for value in category.color):
                raise StructureError(
                    f"Taxonomy: color {category.color} of '{category.name}' is outside 0..255: "
                    "give red, green and blue as bytes"
                )
            if category.part_of == category.name:
                raise StructureError(
                    f"Taxonomy: '{category.name}' is part of itself: name the whole or leave it out"
                )
            if category.part_of is not None and category.part_of not in self.names:
                raise StructureError(
                    f"Taxonomy: '{category.name}' is part of '{category.part_of}', which is not a "
                    f"category: add it or choose one of {', '.join(self.names)}"
                )

    def _refuse_twice(self, what: str, values: Sequence[object]) -> None:
        for position, value in enumerate(values):
            if value in values[:position]:
                raise StructureError(
                    f"Taxonomy: {what} {value!r} stands for categories {values.index(value)} and "
                    f"{position}: give each its own"
                )

    @classmethod
    def from_names(cls, names: Sequence[str], *, ignore_id: int | None = None) -> "Taxonomy":
        """Build stuff categories, coloured by `colors_for`; ids follow the order of the names.

        >>> Taxonomy.from_names(["cell", "membrane"]).id_of("membrane")
        1
        """
        if ignore_id is None:
            ignore_id = IGNORE_ID if len(names) <= IGNORE_ID else 65535
        return cls(tuple(map(Category, names, colors_for(names))), ignore_id)

    def __len__(self) -> int:
        return len(self.categories)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the order of the ids."""
        return tuple(category.name for category in self.categories)

    @property
    def thing_ids(self) -> tuple[int, ...]:
        """Ids of the countable categories."""
        return tuple(i for i, category in enumerate(self.categories) if category.is_thing)

    def id_of(self, name: str) -> int:
        """The id of a name.

        Raises:
            StructureError: when no category has this name.
        """
        if name not in self.names:
            raise StructureError(
                f"no category is named '{name}': the categories are {', '.join(self.names)}"
            )
        return self.names.index(name)

    def parts_of(self, name: str) -> tuple[int, ...]:
        """Ids of the parts of a whole, empty when it has none.

        Raises:
            StructureError: when no category has this name.
        """
        self.id_of(name)
        return tuple(i for i, category in enumerate(self.categories) if category.part_of == name)
