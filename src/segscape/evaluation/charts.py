"""Lines and axes as SVG coordinates; the page's template only places them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segscape.evaluation.name_places import Box, Dot, Label, place_names

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 34
SCATTER_WIDTH, SCATTER_HEIGHT = 760, 360
MOST_POINTS = 400
_SCATTER_FRAME = Box(
    float(LEFT), float(TOP), float(SCATTER_WIDTH - RIGHT), float(SCATTER_HEIGHT - BOTTOM)
)
LARGEST_DOT = 14

Point = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where it is in the drawing, and what it says."""

    position: float
    text: str


@dataclass(frozen=True)
class Line:
    """A named line: `path` is the `d` of an SVG path; `last` is where it ends."""

    name: str
    path: str
    last: Point
    last_text: str


@dataclass(frozen=True)
class Chart:
    """A line chart ready to draw in a box of WIDTH x HEIGHT."""

    title: str
    x_title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def line_chart(
    title: str,
    x_title: str,
    series: Sequence[tuple[str, Sequence[Point]]],
    *,
    from_zero: bool = False,
    logarithmic: bool = False,
) -> Chart | None:
    """Lay out lines over one pair of axes.

    Args:
        title: what the y axis shows.
        x_title: what the x axis shows.
        series: name and points of each line; points that are not finite are left out.
        from_zero: whether the y axis must reach down to zero.
        logarithmic: whether the y axis is logarithmic; it falls back to linear where a value is
            zero or less.

    Returns:
        None when no line has two points: then there is no curve to show.
    """
    cleaned = [(name, _thin(_finite(points))) for name, points in series]
    cleaned = [(name, points) for name, points in cleaned if len(points) >= 2]
    if not cleaned:
        return None
    xs = [x for _, points in cleaned for x, _ in points]
    ys = [y for _, points in cleaned for _, y in points]
    logarithmic = logarithmic and min(ys) > 0
    rise = math.log10 if logarithmic else float
    values = [rise(y) for y in ys] + ([0.0] if from_zero and not logarithmic else [])
    low, high = _widened(min(values), max(values))
    y_marks = _decade_steps(low, high) if logarithmic else _steps(low, high, 5)
    if not logarithmic:
        low, high = min(low, y_marks[0]), max(high, y_marks[-1])
    x_low, x_high = _widened(min(xs), max(xs))

    def across(x: float) -> float:
        return round(LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def up(y: float) -> float:
        return round(HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    lines: list[Line] = []
    for name, points in cleaned:
        steps = [f"{across(x)} {up(rise(y))}" for x, y in points]
        end_x, end_y = points[-1]
        lines.append(
            Line(name, "M" + "L".join(steps), (across(end_x), up(rise(end_y))), tidy(end_y))
        )
    return Chart(
        title,
        x_title,
        tuple(lines),
        tuple(Tick(across(x), tidy(x)) for x in _steps(x_low, x_high, 6) if x_low <= x <= x_high),
        tuple(Tick(up(y), tidy(10**y if logarithmic else y)) for y in y_marks if low <= y <= high),
    )


@dataclass(frozen=True)
class ScatterChart:
    """Dots and their names ready to draw in a box of SCATTER_WIDTH x SCATTER_HEIGHT."""

    dots: tuple[Dot, ...]
    labels: tuple[Label, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def scatter_chart(
    points: Sequence[tuple[str, float, float, float, Point]],
) -> ScatterChart | None:
    """Lay out dots over a logarithmic x and a linear y axis.

    Args:
        points: name, x above 0, y, what the area of the dot stands for, and the interval of y.

    Returns:
        None when no point has finite numbers.
    """
    points = [one for one in points if all(map(math.isfinite, one[1:4])) and one[1] > 0]
    if not points:
        return None
    xs = [math.log10(x) for _, x, _, _, _ in points]
    ends = [end for *_, interval in points for end in interval if math.isfinite(end)]
    ys = [y for _, _, y, _, _ in points] + ends
    # Half a factor of two on both sides, so that dots and names keep off the frame.
    x_low, x_high = min(xs) - 0.15, max(xs) + 0.15
    y_marks = _steps(*_widened(min(ys), max(ys)), 5)
    y_low, y_high = y_marks[0], y_marks[-1]
    largest = max(size for _, _, _, size, _ in points) or 1.0

    def across(x: float) -> float:
        share = (math.log10(x) - x_low) / (x_high - x_low)
        return round(LEFT + share * (SCATTER_WIDTH - LEFT - RIGHT), 1)

    def up(y: float) -> float:
        share = (y - y_low) / (y_high - y_low)
        # A dot on the lowest or the highest mark is inside, too.
        room = SCATTER_HEIGHT - TOP - BOTTOM - 2 * LARGEST_DOT
        return round(SCATTER_HEIGHT - BOTTOM - LARGEST_DOT - share * room, 1)

    dots: list[Dot] = []
    for name, x, y, size, interval in sorted(points, key=lambda one: -one[2]):
        low, high = (end if math.isfinite(end) else y for end in interval)
        radius = round(LARGEST_DOT * (0.3 + 0.7 * math.sqrt(size / largest)), 1)
        dots.append(Dot(name, across(x), up(y), radius, up(low), up(high)))
    x_marks = [mark for mark in _scatter_steps(x_low, x_high) if x_low <= mark <= x_high]
    return ScatterChart(
        tuple(dots),
        place_names(dots, _SCATTER_FRAME),
        tuple(Tick(across(10**mark), tidy(10**mark)) for mark in x_marks),
        tuple(Tick(up(y), tidy(y)) for y in y_marks),
    )


def tidy(value: float) -> str:
    """Write a number as short as three digits allow.

    >>> tidy(0.00025), tidy(1500.0), tidy(10**3.3010299956639813), tidy(0.5), tidy(0.0)
    ('2.5e-4', '1,500', '2,000', '0.5', '0')
    """
    value = float(f"{value:.12g}")  # 2,000 where a logarithm made 1,999.9999999999998 of it
    if value == 0:
        return "0"
    if abs(value) >= 1000 and float(value).is_integer():
        return f"{value:,.0f}"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _finite(points: Sequence[Point]) -> list[Point]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _thin(points: list[Point]) -> list[Point]:
    """Replace neighbours by their mean until few enough are left; the last point stays."""
    if len(points) <= MOST_POINTS:
        return points
    size = -(-len(points) // MOST_POINTS)
    thinned: list[Point] = []
    for start in range(0, len(points), size):
        group = points[start : start + size]
        thinned.append((group[-1][0], sum(y for _, y in group) / len(group)))
    return thinned


def _widened(low: float, high: float) -> Point:
    # Less than this between them, and steps vanish in rounding.
    if high - low > 1e-300:
        return low, high
    margin = abs(low) * 0.1 if abs(low) > 1e-290 else 1.0
    return low - margin, high + margin


def _decade_steps(low: float, high: float) -> list[float]:
    """Logarithms of 1, 2 and 5 times powers of 10, or of the powers alone over many decades."""
    factors = (1, 2, 5) if high - low < 3 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    return [power + math.log10(factor) for power in powers for factor in factors]


def _scatter_steps(low: float, high: float) -> list[float]:
    """Logarithms of round numbers, more of them the less there is to cover."""
    if high - low > 1:
        return _decade_steps(low, high)
    return [math.log10(mark) for mark in _steps(10**low, 10**high, 6) if mark > 0]


def _steps(low: float, high: float, about: int) -> list[float]:
    """Cover low..high by round numbers, in about so many steps of 1, 2 or 5 x a power of 10."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]
