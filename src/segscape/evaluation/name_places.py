"""Where the names of a scatter chart's dots are written: each by its own dot, over no other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from unicodedata import combining, east_asian_width

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

FONT_SIZE = 12
LONGEST_NAME = 24
# Of a line of text: its height, and how far below its top the letters stand.
_HEIGHT, _BASELINE = 15.0, 11.5
# Between a name and what it must not touch.
_CLEAR = 2.0
# A name nearer to its dot than this, with no other dot nearly as near, needs no line to it.
_BESIDE, _DOUBT = 7.0, 11.0
_GAPS = (4.0, 6.0, 10.0, 15.0, 21.0, 28.0, 37.0, 48.0)
_DIRECTIONS = 24
# Places all over the frame, for names that find none around their dot.
_STEP_X, _STEP_Y = 12.0, 6.0
_LOOKED_AT = 100
_SAMPLES = 24
_ROUNDS = 4

Boxes = Float64[ndarray, "box 4"]
Points = Float64[ndarray, "#line #other 2"]


@dataclass(frozen=True)
class Dot:
    """A disc of a scatter chart, its name, and the whisker from `low` to `high`, y all of them."""

    name: str
    x: float
    y: float
    radius: float
    low: float
    high: float


@dataclass(frozen=True)
class Box:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Label:
    """A written name.

    Args:
        name: of the dot.
        text: the name, shortened where it is long.
        box: what the text may fill.
        anchor: "start", "middle" or "end" of the text stands at `x`.
        x: in the drawing.
        y: of the line that the letters stand on.
        leader: a line from the name to its dot; None where they stand side by side.
    """

    name: str
    text: str
    box: Box
    anchor: str
    x: float
    y: float
    leader: tuple[float, float, float, float] | None


def text_width(text: str) -> float:
    """At most so many pixels: as wide as in DejaVu Sans, the widest face that pages ask for.

    >>> text_width("iii") < text_width("nnn") < text_width("WWW")
    True
    """
    return FONT_SIZE * sum(map(_letter_width, text))


def _letter_width(letter: str) -> float:
    """In units of the font's size."""
    if combining(letter):
        return 0.0
    if letter in "ijlI.,:;'|!()[] -/\\frtJ":
        return 0.42
    if letter in "mwMW%@…" or east_asian_width(letter) in "WF" or ord(letter) > 0x2FFF:
        return 1.01
    if letter.islower() or letter.isdigit() or letter in '_$?*"':
        return 0.65
    return 0.84


def shortened(name: str) -> str:
    """The name with its middle left out where it is long: runs often differ at the end.

    >>> shortened("camvid_deeplab_v3_plus_long_second_seed")
    'camvid_deeplab…econd_seed'
    """
    if len(name) <= LONGEST_NAME + 1:
        return name
    tail = LONGEST_NAME * 5 // 12
    return f"{name[: LONGEST_NAME - tail]}…{name[-tail:]}"


def place_names(dots: Sequence[Dot], frame: Box) -> tuple[Label, ...]:
    """Write the names so that none lies over another name or over a dot.

    The longest names choose first; then each chooses anew among what the others leave, a few times.
    A name that finds no room is left out.

    Args:
        dots: what has names.
        frame: what the names must stay inside.
    """
    discs = np.array([(dot.x, dot.y, dot.radius) for dot in dots], float).reshape(-1, 3)
    order = sorted(range(len(dots)), key=lambda place: -text_width(shortened(dots[place].name)))
    labels: dict[int, Label] = {}
    for _ in range(_ROUNDS):
        before = dict(labels)
        for place in order:
            others = [label for other, label in labels.items() if other != place]
            found = _best(place, dots, discs, others, frame)
            if found is not None:
                labels[place] = found
        if labels == before:
            break
    return tuple(labels[place] for place in sorted(labels))


def _best(
    place: int,
    dots: Sequence[Dot],
    discs: Float64[ndarray, "dot 3"],
    others: Sequence[Label],
    frame: Box,
) -> Label | None:
    """The name of one dot where it is read best, given the other names."""
    dot, text = dots[place], shortened(dots[place].name)
    boxes = _candidates(dot, text_width(text), frame)
    taken = _array([label.box for label in others])
    free = boxes[~(_overlaps(boxes, taken, _CLEAR).any(1) | _covers(boxes, discs).any(1))]
    if len(free) == 0:
        return None
    gaps = _gaps(free, discs[place : place + 1])[:, 0]
    nearest = np.argsort(gaps, kind="stable")[:_LOOKED_AT]
    free, gaps = free[nearest], gaps[nearest]
    foreign = np.delete(discs, place, 0)
    elsewhere = _gaps(free, foreign).min(1, initial=np.inf)
    doubt = np.clip(np.minimum(gaps, _BESIDE) + _DOUBT - elsewhere, 0, _DOUBT)
    led = (gaps > _BESIDE) | (doubt > 0)
    leaders = _leaders(free, dot)
    whiskers = np.array([(one.x, one.high, one.x, one.low) for one in dots])
    drawn = np.array([label.leader for label in others if label.leader]).reshape(-1, 4)
    crossed = _points(leaders)
    cost = np.maximum(gaps, _GAPS[0]) + 8 * doubt + 6 * led
    cost += np.where(free[:, 0] >= dot.x, 0, np.where(free[:, 2] <= dot.x, 1, 2))
    cost += 0.4 * np.abs((free[:, 1] + free[:, 3]) / 2 - dot.y)
    cost += 10 * _holds(free, _points(whiskers)).sum(1)
    cost += 60 * _holds(free, _points(drawn)).sum(1)
    cost += 60 * led * _holds(taken, crossed).sum(0)
    cost += 60 * led * _meets(crossed, foreign).sum(1)
    cost += 40 * led * _cross(leaders, drawn).sum(1)
    best = int(np.argmin(cost))
    box = Box(*(round(edge, 1) for edge in free[best].tolist()))
    label = _written(dot, text, box)
    if not led[best]:
        return label
    x0, y0, x1, y1 = (round(end, 1) for end in leaders[best].tolist())
    return replace(label, leader=(x0, y0, x1, y1))


def _written(dot: Dot, text: str, box: Box) -> Label:
    """Flush with the side of the box that looks at the dot, as the width is only known roughly."""
    anchor, x = "middle", round((box.left + box.right) / 2, 1)
    if box.left >= dot.x:
        anchor, x = "start", box.left
    elif box.right <= dot.x:
        anchor, x = "end", box.right
    return Label(dot.name, text, box, anchor, x, round(box.top + _BASELINE, 1), None)


def _candidates(dot: Dot, width: float, frame: Box) -> Boxes:
    """Boxes around the dot, near ones first, and all over the frame; none reaches out of it."""
    angles = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
    gaps, directions = np.meshgrid(_GAPS, angles, indexing="ij")
    across, down = np.cos(directions).ravel(), np.sin(directions).ravel()
    reach = dot.radius + gaps.ravel()
    # The side of the box that looks at the dot is on the ring: its left one for a box to the right.
    around = np.stack(
        [
            dot.x + reach * across + (across - 1) / 2 * width,
            dot.y + reach * down + (down - 1) / 2 * _HEIGHT,
        ],
        -1,
    )
    grid = np.meshgrid(
        np.arange(frame.left, frame.right, _STEP_X), np.arange(frame.top, frame.bottom, _STEP_Y)
    )
    corners = np.concatenate([around, np.stack(grid, -1).reshape(-1, 2)])
    boxes = np.concatenate([corners, corners + np.array([width, _HEIGHT])], 1)
    inside = (boxes >= (frame.left, frame.top, -np.inf, -np.inf)).all(1)
    inside &= (boxes <= (np.inf, np.inf, frame.right, frame.bottom)).all(1)
    return boxes[inside]


def _array(boxes: Sequence[Box]) -> Boxes:
    edges = [(box.left, box.top, box.right, box.bottom) for box in boxes]
    return np.array(edges, float).reshape(-1, 4)


def _overlaps(
    boxes: Boxes, taken: Float64[ndarray, "taken 4"], clear: float
) -> Bool[ndarray, "box taken"]:
    one, other = boxes.T[..., None], taken.T[:, None]
    beside = (one[0] >= other[2] + clear) | (one[2] <= other[0] - clear)
    return np.logical_not(beside | (one[1] >= other[3] + clear) | (one[3] <= other[1] - clear))


def _gaps(boxes: Boxes, discs: Float64[ndarray, "dot 3"]) -> Float64[ndarray, "box dot"]:
    """From the nearest point of each box to the rim of each disc, below 0 where they overlap."""
    left, top, right, bottom = boxes.T[..., None]
    x, y, radius = discs.T[:, None]
    return np.hypot(np.clip(x, left, right) - x, np.clip(y, top, bottom) - y) - radius


def _covers(boxes: Boxes, discs: Float64[ndarray, "dot 3"]) -> Bool[ndarray, "box dot"]:
    return _gaps(boxes, discs) < _CLEAR


def _leaders(boxes: Boxes, dot: Dot) -> Float64[ndarray, "box 4"]:
    """From the point of each box that is nearest to the dot to the dot's rim."""
    center = np.array([dot.x, dot.y])
    start = np.clip(center, boxes[:, :2], boxes[:, 2:])
    way = start - center
    rim = center + way * (dot.radius / np.hypot(*way.T))[:, None]
    return np.concatenate([start, rim], 1)


def _points(lines: Float64[ndarray, "line 4"]) -> Float64[ndarray, "line point 2"]:
    """Points along each line, both ends left out: neighbours are a few pixels apart."""
    share = (np.arange(_SAMPLES) + 0.5)[:, None] / _SAMPLES
    return lines[:, None, :2] * (1 - share) + lines[:, None, 2:] * share


def _holds(boxes: Boxes, points: Float64[ndarray, "line point 2"]) -> Bool[ndarray, "box line"]:
    """Whether a line goes through a box."""
    x, y = points[None, ..., 0], points[None, ..., 1]
    left, top, right, bottom = boxes.T[..., None, None]
    return np.any((x >= left) & (x <= right) & (y >= top) & (y <= bottom), -1)


def _meets(
    points: Float64[ndarray, "line point 2"], discs: Float64[ndarray, "dot 3"]
) -> Bool[ndarray, "line dot"]:
    """Whether a line goes through a disc."""
    x, y, radius = discs.T[:, None, :, None]
    across, down = points[:, None, :, 0] - x, points[:, None, :, 1] - y
    return np.any(across * across + down * down < radius * radius, -1)


def _cross(
    lines: Float64[ndarray, "line 4"], others: Float64[ndarray, "other 4"]
) -> Bool[ndarray, "line other"]:
    """Whether two lines cross: the ends of each lie on two sides of the other."""

    def side(start: Points, end: Points, point: Points) -> Float64[ndarray, "line other"]:
        along, to = end - start, point - start
        return np.sign(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])

    a, b = lines[:, None, :2], lines[:, None, 2:]
    c, d = others[None, :, :2], others[None, :, 2:]
    return (side(a, b, c) != side(a, b, d)) & (side(c, d, a) != side(c, d, b))
