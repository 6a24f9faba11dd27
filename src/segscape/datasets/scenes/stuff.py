"""Sky, hills, grass, water and road: what fills a scene."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from segscape.datasets.scenes.canvas import Canvas, Ink, plain
from segscape.datasets.scenes.meanings import SCENE_TAXONOMY
from segscape.datasets.scenes.shapes import noise, polygon

Rgb = Float32[ndarray, "3"]
SKIES = (  # at the zenith, at the horizon
    ((0.25, 0.47, 0.80), (0.72, 0.84, 0.94)),
    ((0.36, 0.60, 0.88), (0.86, 0.90, 0.92)),
    ((0.55, 0.58, 0.63), (0.80, 0.81, 0.82)),
    ((0.30, 0.32, 0.55), (0.96, 0.66, 0.46)),
    ((0.16, 0.20, 0.38), (0.60, 0.45, 0.58)),
    ((0.50, 0.66, 0.72), (0.95, 0.90, 0.74)),
)
GROUNDS = (
    (0.32, 0.50, 0.20),
    (0.42, 0.56, 0.24),
    (0.24, 0.40, 0.18),
    (0.60, 0.57, 0.30),
    (0.68, 0.60, 0.42),
    (0.47, 0.43, 0.33),
)
HILLS = ((0.36, 0.44, 0.42), (0.40, 0.46, 0.60), (0.30, 0.40, 0.24), (0.50, 0.42, 0.38))


@dataclass(frozen=True)
class Ground:
    """Where things may stand.

    Args:
        horizon: row where the ground begins.
        haze: colour that far things take on.
        lake: first and last row of the lake, None without one.
        road: left and right side of the road in a row, as a line for each; None without one.
    """

    horizon: float
    haze: Rgb
    lake: tuple[float, float] | None
    road: tuple[tuple[float, float], tuple[float, float]] | None


def rgb(color: tuple[float, float, float], random: np.random.Generator, jitter: float) -> Rgb:
    """A colour near another one."""
    return np.clip(plain(*color) + random.normal(0, jitter, 3), 0.02, 0.98).astype(np.float32)


def draw_stuff(canvas: Canvas, random: np.random.Generator) -> Ground:
    """Fill the canvas with sky and land, and say where things may stand."""
    height = canvas.height
    horizon = float(random.uniform(0.30, 0.48) * height)
    haze = _sky(canvas, random, horizon)
    if random.random() < 0.75:
        _hills(canvas, random, horizon, haze)
    _grass(canvas, random, horizon)
    lake = None
    if random.random() < 0.6:
        top = horizon + random.uniform(0, 0.10) * height
        lake = (float(top), float(top + random.uniform(0.14, 0.30) * height))
        _water(canvas, random, lake, horizon)
    road = _road(canvas, random, horizon, lake) if random.random() < 0.75 else None
    return Ground(horizon, haze, lake, road)


def _ink(name: str) -> Ink:
    category = SCENE_TAXONOMY.id_of(name)
    return Ink(category, category)


def _lattice(canvas: Canvas, cell: float) -> tuple[ndarray, ndarray]:
    """Even noise coordinates, one lattice step every `cell` heights of the canvas."""
    step = np.float32(1 / (cell * canvas.height))
    return (
        np.arange(canvas.height, dtype=np.float32) * step,
        np.arange(canvas.width, dtype=np.float32) * step,
    )


def _plane(canvas: Canvas, horizon: float, cell: float) -> tuple[ndarray, ndarray]:
    """Noise coordinates of a plane in perspective: rows crowd towards the horizon."""
    rows, columns = _lattice(canvas, cell)
    below = np.maximum((np.arange(canvas.height) - horizon) / (canvas.height - horizon), 0.02)
    return (np.log(below).astype(np.float32) - np.float32(np.log(0.02))) * rows[-1] / 2, columns


def _sky(canvas: Canvas, random: np.random.Generator, horizon: float) -> Rgb:
    zenith, low = (rgb(c, random, 0.04) for c in SKIES[random.integers(len(SKIES))])
    fall = np.clip(np.arange(canvas.height, dtype=np.float32) / horizon, 0, 1)[:, None, None]
    color = np.broadcast_to(zenith + fall * (low - zenith), canvas.color.shape).astype(np.float32)
    rows, columns = _lattice(canvas, float(random.uniform(0.15, 0.4)))
    clouds = noise(random, rows * 2, columns, octaves=4)
    thick = np.clip((clouds - random.uniform(-0.3, 0.8)) * 1.6, 0, 0.85)[..., None]
    white = np.clip(low * 0.4 + 0.62 + 0.12 * clouds[..., None], 0, 1)
    color = color + thick * (white - color)
    patch = canvas.whole()
    canvas.paint(patch, np.full(clouds.shape, -1, np.float32), color, _ink("sky"))
    return low


def _hills(canvas: Canvas, random: np.random.Generator, horizon: float, haze: Rgb) -> None:
    for layer in range(int(random.integers(1, 3))):
        reach = random.uniform(0.05, 0.20) * canvas.height / (1 + layer)
        _, columns = _lattice(canvas, float(random.uniform(0.3, 0.7)))
        crest = noise(random, np.zeros(1, np.float32), columns, octaves=3)[0]
        top = horizon - reach * (1.0 + 0.8 * crest)
        patch = canvas.whole()
        color = rgb(HILLS[random.integers(len(HILLS))], random, 0.03)
        color = color + (haze - color) * np.float32(0.45 - 0.25 * layer)
        rows, columns = _lattice(canvas, 0.05)
        rough = 1 + 0.13 * noise(random, rows * 2, columns, octaves=3)[..., None]
        distance = np.maximum(top[None] - patch.y, patch.y - np.float32(horizon + 2))
        canvas.paint(patch, distance.astype(np.float32), color * rough, _ink("hill"))


def _grass(canvas: Canvas, random: np.random.Generator, horizon: float) -> None:
    color = rgb(GROUNDS[random.integers(len(GROUNDS))], random, 0.03)
    fields = noise(random, *_plane(canvas, horizon, 0.25), octaves=2)[..., None]
    rows, columns = _plane(canvas, horizon, 0.03)
    blades = noise(random, rows * 0.7, columns * 2.2, octaves=2)[..., None]
    other = rgb(GROUNDS[random.integers(len(GROUNDS))], random, 0.03)
    mixed = color + np.clip(fields, 0, 1) * 0.5 * (other - color)
    patch = canvas.whole()
    distance = np.broadcast_to(np.float32(horizon) - patch.y, canvas.category.shape)
    tint = np.clip(mixed * (1 + 0.20 * blades + 0.10 * fields), 0, 1).astype(np.float32)
    canvas.paint(patch, distance.astype(np.float32), tint, _ink("grass"))


def _water(
    canvas: Canvas, random: np.random.Generator, lake: tuple[float, float], horizon: float
) -> None:
    _, columns = _lattice(canvas, 0.35)
    shores = 0.035 * canvas.height * noise(random, np.arange(2, dtype=np.float32), columns, 2)
    # A lake that begins at the horizon has a straight far shore.
    far = lake[0] + shores[0] * (lake[0] > horizon + 0.03 * canvas.height)
    near = lake[1] + shores[1]
    patch = canvas.whole()
    distance = np.maximum(far[None] - patch.y, patch.y - near[None]).astype(np.float32)
    # Still water shows the sky above it, upside down and darker.
    mirrored = np.clip(2 * horizon - np.arange(canvas.height), 0, max(horizon - 1, 0)).astype(int)
    own = rgb((0.16, 0.33, 0.42), random, 0.05)
    tint = canvas.color[mirrored] * np.float32(0.62) + own * np.float32(0.30)
    rows, columns = _plane(canvas, horizon, 0.03)
    ripples = noise(random, rows * 2.2, columns * 0.35, octaves=2)[..., None]
    tint = np.clip(tint * (1 + 0.16 * ripples) + 0.10 * np.maximum(ripples - 0.5, 0), 0, 1)
    canvas.paint(patch, distance, tint.astype(np.float32), _ink("water"))


def _road(
    canvas: Canvas,
    random: np.random.Generator,
    horizon: float,
    lake: tuple[float, float] | None,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Draw a straight road to the horizon, or to the near shore of the lake."""
    height, width = canvas.height, canvas.width
    begin = horizon if lake is None else lake[1] - 0.01 * height
    end = float(height)
    vanishing = random.uniform(0.2, 0.8) * width
    foot = vanishing + random.uniform(-0.35, 0.35) * width
    half_far, half_near = 0.02 * width, random.uniform(0.22, 0.36) * width
    share = (begin - horizon) / (end - horizon)
    far_middle = vanishing + share * (foot - vanishing)
    half_far = half_far + share * (half_near - half_far)
    patch = canvas.whole()
    corners = [
        (far_middle - half_far, begin),
        (far_middle + half_far, begin),
        (foot + half_near, end + 2),
        (foot - half_near, end + 2),
    ]
    distance = polygon(patch.x, patch.y, corners)
    gravel = noise(random, *_plane(canvas, horizon, 0.02), octaves=2)[..., None]
    worn = noise(random, *_plane(canvas, horizon, 0.3), octaves=2)[..., None]
    asphalt = rgb(((0.36, 0.36, 0.38), (0.52, 0.50, 0.48))[random.integers(2)], random, 0.03)
    tint = np.clip(asphalt * (1 + 0.10 * gravel + 0.10 * worn), 0, 1).astype(np.float32)
    canvas.paint(patch, distance, tint, _ink("road"))
    # Painted middle line: dashes that shorten with distance.
    down = np.clip((patch.y - begin) / (end - begin), 0, 1)
    middle = far_middle + down * (foot - far_middle)
    half = half_far + down * (half_near - half_far)
    dash = np.sin(np.log(0.06 + down) * 14 + random.uniform(0, 6)) > -0.1
    line = np.where(dash, np.abs(patch.x - middle) - 0.035 * half, 1)
    paint = np.clip(tint + np.float32(0.35), 0, 0.9)
    canvas.paint(patch, np.maximum(line, distance).astype(np.float32), paint, _ink("road"))
    left = (far_middle - half_far, foot - half_near)
    right = (far_middle + half_far, foot + half_near)
    return (_line(begin, end, left), _line(begin, end, right))


def _line(begin: float, end: float, columns: tuple[float, float]) -> tuple[float, float]:
    """Slope and offset of the column as a function of the row."""
    slope = (columns[1] - columns[0]) / (end - begin)
    return float(slope), float(columns[0] - slope * begin)
