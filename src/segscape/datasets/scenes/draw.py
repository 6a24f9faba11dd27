"""Put a scene together: stuff, then things from far to near, then the camera."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from numpy import ndarray

from segscape.datasets.scenes.canvas import Canvas
from segscape.datasets.scenes.meanings import SCENE_TAXONOMY
from segscape.datasets.scenes.shapes import ellipse, noise
from segscape.datasets.scenes.stuff import Ground, draw_stuff
from segscape.datasets.scenes.things import KINDS, Pen, own_coordinates
from segscape.structures import DatasetError, Size

# Each split counts in its own stream of random numbers, so no scene is in two of them.
STREAMS = {"train": 1, "val": 2, "test": 3}
SMALLEST_SIDE = 32


@dataclass(frozen=True)
class SyntheticScene:
    """A drawn scene with everything that is known about it.

    Args:
        image: red, green, blue in 0..255.
        categories: ids of `SCENE_TAXONOMY`.
        parts: ids of `PART_TAXONOMY`: the part where a thing has parts, else the category.
        instances: 0 for stuff, 1..n for the things that can be seen, far ones first.
        instance_categories: category of instance 1, 2, ...
    """

    image: UInt8[ndarray, "3 height width"]
    categories: UInt8[ndarray, "height width"]
    parts: UInt8[ndarray, "height width"]
    instances: Int32[ndarray, "height width"]
    instance_categories: tuple[int, ...]


def draw_scene(seed: int, index: int, size: Size, *, split: str = "train") -> SyntheticScene:
    """Draw one scene: a pure function of the arguments.

    Args:
        seed: names a family of scenes.
        index: which of them, 0 or more.
        size: height and width in pixels, at least 32 each.
        split: "train", "val" or "test"; they share no scene.

    Raises:
        DatasetError: for an unknown split, a negative index or a side below 32 pixels.
    """
    if split not in STREAMS:
        raise DatasetError(
            f"synthetic scenes have no split '{split}': choose one of {', '.join(STREAMS)}"
        )
    if index < 0:
        raise DatasetError(f"synthetic scene {index}: the index must be 0 or more")
    if min(size) < SMALLEST_SIDE:
        raise DatasetError(
            f"synthetic scenes of {size.height} x {size.width} are too small to show anything: "
            f"give at least {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels"
        )
    random = np.random.Generator(
        np.random.Philox(key=seed % 2**64, counter=[0, 0, index % 2**64, STREAMS[split]])
    )
    canvas = Canvas(size.height, size.width)
    ground = draw_stuff(canvas, random)
    sun = float(random.uniform(-1, 1))
    kinds = [
        _draw_thing(canvas, random, ground, kind, near, number, sun)
        for number, (near, kind) in enumerate(_cast(random, ground), start=1)
    ]
    instances, seen = _number_seen(canvas.instance)
    return SyntheticScene(
        _photograph(canvas.color, random),
        canvas.category,
        canvas.part,
        instances,
        tuple(SCENE_TAXONOMY.id_of(kinds[number - 1]) for number in seen),
    )


def _cast(random: np.random.Generator, ground: Ground) -> list[tuple[float, str]]:
    """Choose what stands in the scene, as (nearness in 0..1, kind), far things first."""
    chosen: list[tuple[float, str]] = []
    ranges = {  # how many, and how near
        "house": (0, 1, 0.10, 0.45),
        "tree": (0, 2, 0.08, 0.70),
        "car": (0, 2, 0.18, 0.95),
        "person": (0, 2, 0.20, 0.95),
        "ball": (0, 2, 0.35, 1.00),
    }
    for kind, (fewest, most, far, near) in ranges.items():
        for _ in range(int(random.integers(fewest, most + 1))):
            chosen.append((float(random.uniform(far, near)), kind))  # noqa: PERF401
    if ground.lake is not None:
        for _ in range(int(random.integers(0, 3))):
            chosen.append((float(random.random()), "boat"))  # noqa: PERF401
    # A boat's nearness counts along its lake, which lies far away.
    return sorted(chosen, key=lambda thing: 0.3 * thing[0] if thing[1] == "boat" else thing[0])


def _draw_thing(
    canvas: Canvas,
    random: np.random.Generator,
    ground: Ground,
    kind: str,
    near: float,
    number: int,
    sun: float,
) -> str:
    look = KINDS[kind]
    if kind == "boat" and ground.lake is not None:
        foot = ground.lake[0] + (0.25 + 0.6 * near) * (ground.lake[1] - ground.lake[0])
    else:
        begin = ground.horizon if ground.lake is None else ground.lake[1]
        foot = begin + near * (0.99 * canvas.height - begin)
    depth = (foot - ground.horizon) / (canvas.height - ground.horizon)
    unit = float(random.uniform(*look.tall)) * canvas.height * (0.45 + 0.55 * depth)
    middle = _column(canvas, random, ground, kind, foot)
    reach = look.wide * unit
    patch = canvas.patch(middle - reach, foot - 1.15 * unit, middle + reach, foot + 0.05 * unit)
    _cast_shadow(canvas, middle, foot, reach, sun)
    x, y = own_coordinates(patch, middle, foot, unit, bool(random.random() < 0.5))
    if x.size:
        air = 0.35 * (1 - depth) ** 2
        look.draw(Pen(canvas, patch, x, y, unit, ground.haze, air, kind, number), random)
    return kind


def _column(
    canvas: Canvas, random: np.random.Generator, ground: Ground, kind: str, foot: float
) -> float:
    """Where a thing stands across the image: cars keep to the road, houses and trees off it."""
    anywhere = float(random.uniform(0.02, 0.98) * canvas.width)
    if ground.road is None or kind in ("boat", "ball", "person"):
        return anywhere
    left, right = (slope * foot + offset for slope, offset in ground.road)
    if kind == "car":
        return float(random.uniform(left, right)) if random.random() < 0.8 else anywhere
    if left < anywhere < right:
        beside = float(random.uniform(0.05, 0.25)) * canvas.width
        return left - beside if random.random() < 0.5 else right + beside
    return anywhere


def _cast_shadow(canvas: Canvas, middle: float, foot: float, reach: float, sun: float) -> None:
    long, flat = 1.1 * reach, max(0.20 * reach, 1.0)
    center = (middle + 0.7 * sun * reach, foot)
    patch = canvas.patch(center[0] - long, foot - flat, center[0] + long, foot + flat)
    inside = -ellipse(patch.x, patch.y, center, (long, flat)) / np.float32(flat)
    canvas.shade(patch, 1 - np.float32(0.45) * np.clip(inside * 2, 0, 1))


def _number_seen(
    drawn: Int32[ndarray, "height width"],
) -> tuple[Int32[ndarray, "height width"], list[int]]:
    """Renumber the things that are not wholly hidden to 1..n."""
    counts = np.bincount(drawn.ravel())
    seen = [int(number) for number in np.flatnonzero(counts) if number]
    table = np.zeros(len(counts), np.int32)
    table[seen] = np.arange(1, len(seen) + 1)
    return table[drawn], seen


def _photograph(
    color: Float32[ndarray, "height width 3"], random: np.random.Generator
) -> UInt8[ndarray, "3 height width"]:
    """Light, lens, exposure and grain."""
    height, width, _ = color.shape
    picture = color.transpose(2, 0, 1)
    rows = np.linspace(0, 1.5, height, dtype=np.float32)
    columns = np.linspace(0, 1.5, width, dtype=np.float32)
    light = 1 + float(random.uniform(0.05, 0.22)) * noise(random, rows, columns)
    warmth = (random.normal(0, 0.05, (3, 1, 1)) + 1).astype(np.float32)
    picture = _blurred(picture * light * warmth, float(random.uniform(0.3, 0.75)))
    contrast, bright = float(random.uniform(0.8, 1.2)), float(random.normal(0, 0.05))
    picture = (picture - np.float32(0.5)) * np.float32(contrast) + np.float32(0.5 + bright)
    grey = picture.mean(0, keepdims=True)
    picture = grey + (picture - grey) * np.float32(random.uniform(0.7, 1.25))
    grain = random.standard_normal(picture.shape, dtype=np.float32)
    picture = picture + grain * np.float32(random.uniform(0.006, 0.035))
    return (np.clip(picture, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)


def _blurred(
    picture: Float32[ndarray, "3 height width"], sigma: float
) -> Float32[ndarray, "3 height width"]:
    """A Gaussian blur of at most a pixel: three taps each way are enough."""
    side = float(np.exp(-0.5 / sigma**2))
    one, two = np.float32(1 / (1 + 2 * side)), np.float32(side / (1 + 2 * side))
    tall = np.pad(picture, ((0, 0), (1, 1), (0, 0)), mode="edge")
    picture = one * picture + two * (tall[:, :-2] + tall[:, 2:])
    wide = np.pad(picture, ((0, 0), (0, 0), (1, 1)), mode="edge")
    return one * picture + two * (wide[:, :, :-2] + wide[:, :, 2:])
