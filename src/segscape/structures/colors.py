"""Colours for categories that were given none."""

from collections.abc import Iterator, Sequence
from itertools import count

Color = tuple[int, int, int]

# The colours in which street scenes are drawn everywhere (Cityscapes), by the names in use.
_FAMILIAR: dict[str, Color] = {
    "sky": (70, 130, 180),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "pavement": (244, 35, 232),
    "vegetation": (107, 142, 35),
    "tree": (107, 142, 35),
    "terrain": (152, 251, 152),
    "grass": (152, 251, 152),
    "water": (0, 110, 190),
    "sign": (220, 220, 0),
    "sign_symbol": (220, 220, 0),
    "traffic_sign": (220, 220, 0),
    "traffic_light": (250, 170, 30),
    "person": (220, 20, 60),
    "pedestrian": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
    "bicyclist": (119, 11, 32),
}
_BACKGROUND = ("background", "_background_", "void", "unlabelled", "unlabeled")


def default_color(index: int) -> Color:
    """The Pascal VOC colour of an index: its bits spread over red, green and blue.

    >>> default_color(1), default_color(15)
    ((128, 0, 0), (192, 128, 128))
    """
    red = green = blue = 0
    rest = index
    for bit in range(7, -1, -1):
        red |= (rest & 1) << bit
        green |= (rest >> 1 & 1) << bit
        blue |= (rest >> 2 & 1) << bit
        rest >>= 3
    return red, green, blue


def colors_for(
    names: Sequence[str], given: Sequence[Color | None] | None = None
) -> tuple[Color, ...]:
    """A colour of its own for each name: the given one, else a familiar one, else Pascal VOC's.

    Lists that begin with a background get Pascal VOC's colours by position, as people expect who
    know them; in others black, the colour of void, is left out.

    >>> colors_for(["sky", "cell"])
    ((70, 130, 180), (128, 0, 0))
    >>> colors_for(["background", "cell"])
    ((0, 0, 0), (128, 0, 0))
    """
    colors: list[Color | None] = list(given) if given is not None else [None] * len(names)
    has_background = bool(names) and names[0].lower() in _BACKGROUND
    taken = {color for color in colors if color is not None}
    for position, name in enumerate(names):
        wish = (
            default_color(position)
            if has_background
            else _FAMILIAR.get(name.lower().replace(" ", "_").replace("-", "_"))
        )
        if colors[position] is None and wish is not None and wish not in taken:
            colors[position] = wish
            taken.add(wish)
    free = _free_colors(taken)
    return tuple(color if color is not None else next(free) for color in colors)


def _free_colors(taken: set[Color]) -> Iterator[Color]:
    return (color for color in map(default_color, count(1)) if color not in taken)
