"""Houses, trees, cars, people, boats and balls, each made of parts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from segscape.datasets.scenes.canvas import Canvas, Ink, Patch, Plane, Tint, plain
from segscape.datasets.scenes.meanings import PART_TAXONOMY, SCENE_TAXONOMY
from segscape.datasets.scenes.shapes import box, capsule, ellipse, noise, polygon, union
from segscape.datasets.scenes.stuff import Rgb, rgb


@dataclass(frozen=True)
class Pen:
    """Draws one thing in its own coordinates: x to the right and y up from the middle of its foot.

    Args:
        canvas: what is drawn on.
        patch: the window the thing lies in.
        x, y: own coordinates of the window's pixels, 1 is the height of the thing.
        unit: height of the thing in pixels.
        haze: colour of the air.
        air: share of haze in the colours.
        kind: category name.
        instance: id of the thing.
    """

    canvas: Canvas
    patch: Patch
    x: Plane
    y: Plane
    unit: float
    haze: Rgb
    air: float
    kind: str
    instance: int

    def fill(self, distance: Plane, color: Tint, part: str = "") -> None:
        """Paint a part; the distance is in own coordinates."""
        category = SCENE_TAXONOMY.id_of(self.kind)
        name = f"{self.kind} {part}" if part else self.kind
        ink = Ink(category, PART_TAXONOMY.id_of(name), self.instance)
        tint = np.clip(color + (self.haze - color) * np.float32(self.air), 0, 1)
        pixels = np.asarray(distance * np.float32(self.unit), np.float32)
        self.canvas.paint(self.patch, pixels, np.asarray(tint, np.float32), ink)

    def texture(self, random: np.random.Generator, cell: float) -> Plane:
        """Noise with lattice steps of `cell` heights of the thing, but not below two pixels."""
        step = np.float32(max(cell * self.unit, 2.0))
        return noise(random, self.patch.y[:, 0] / step, self.patch.x[0] / step, octaves=2)


def any_paint(random: np.random.Generator) -> Rgb:
    """A colour as people paint things: often grey, white, red or blue, sometimes green."""
    favourites = (
        (0.75, 0.16, 0.14),
        (0.20, 0.32, 0.62),
        (0.86, 0.86, 0.84),
        (0.38, 0.39, 0.41),
        (0.16, 0.17, 0.19),
        (0.86, 0.68, 0.22),
        (0.26, 0.46, 0.26),
        (0.55, 0.72, 0.86),
        (0.80, 0.50, 0.28),
    )
    return rgb(favourites[random.integers(len(favourites))], random, 0.05)


def draw_house(pen: Pen, random: np.random.Generator) -> None:
    """Walls with a grain, a tiled roof, windows and a door."""
    half, eaves = float(random.uniform(0.45, 0.70)), float(random.uniform(0.52, 0.66))
    walls = ((0.86, 0.80, 0.70), (0.72, 0.42, 0.32), (0.90, 0.90, 0.88), (0.62, 0.64, 0.66))
    roofs = ((0.62, 0.24, 0.17), (0.36, 0.27, 0.24), (0.38, 0.42, 0.50), (0.30, 0.42, 0.32))
    wall = rgb(walls[random.integers(len(walls))], random, 0.04)
    roof = rgb(roofs[random.integers(len(roofs))], random, 0.04)
    rows = int(random.integers(9, 14))
    courses = 1 - 0.10 * (np.sin(pen.y * rows * 2 * np.pi) > 0.75)
    lit = (courses * (1 + 0.05 * pen.texture(random, 0.05)))[..., None]
    pen.fill(box(pen.x, pen.y, (-half, 0.0), (half, eaves)), wall * lit, "wall")
    over = half + 0.07
    ridge = float(random.choice((0.0, 0.0, 0.45))) * half
    corners = [(-over, eaves), (over, eaves), (ridge + 0.01, 1.0), (-ridge - 0.01, 1.0)]
    tiles = 1 + 0.16 * np.sin(pen.y * 2 * np.pi * 16) + 0.08 * pen.texture(random, 0.04)
    pen.fill(polygon(pen.x, pen.y, corners), roof * tiles[..., None], "roof")
    glass = rgb(((0.24, 0.30, 0.38), (0.90, 0.80, 0.46))[random.integers(2)], random, 0.04)
    count = int(random.integers(2, 4))
    door = int(random.integers(count))
    for slot in range(count):
        middle = half * (2 * (slot + 0.5) / count - 1)
        if slot == door:
            leaf = rgb((0.34, 0.22, 0.14), random, 0.06)
            shape = box(pen.x, pen.y, (middle - 0.08, 0.0), (middle + 0.08, 0.34))
            pen.fill(shape, leaf, "door")
            continue
        shape = box(pen.x, pen.y, (middle - 0.10, 0.17), (middle + 0.10, 0.40))
        pen.fill(shape - np.float32(0.02), plain(0.93, 0.92, 0.90), "window")
        pen.fill(shape, glass * (0.75 + 0.8 * pen.y)[..., None], "window")


def draw_tree(pen: Pen, random: np.random.Generator) -> None:
    """A trunk under a ragged crown, round or pointed, green or in autumn."""
    leaves = ((0.17, 0.38, 0.14), (0.28, 0.46, 0.18), (0.14, 0.30, 0.20), (0.62, 0.36, 0.13))
    leaf = rgb(leaves[random.integers(len(leaves))], random, 0.04)
    bark = rgb((0.32, 0.24, 0.17), random, 0.04)
    foot = float(random.uniform(0.16, 0.30))
    thick = float(random.uniform(0.035, 0.055))
    grain = (1 + 0.25 * np.sin(pen.x * 90))[..., None]
    pen.fill(capsule(pen.x, pen.y, (0.0, thick), (0.0, foot + 0.2), thick), bark * grain, "trunk")
    rough = pen.texture(random, 0.07)
    if random.random() < 0.35:
        tops = np.linspace(1.0, foot + 0.42, 3)
        wide = float(random.uniform(0.22, 0.30))
        crown = union(
            *(
                polygon(pen.x, pen.y, [(-w, low), (w, low), (0.0, float(top))])
                for top, low, w in zip(
                    tops, (0.62, 0.38, foot), (wide * 0.62, wide * 0.85, wide), strict=True
                )
            )
        )
        ragged = 0.018
    else:
        lobes = []
        for _ in range(int(random.integers(4, 7))):
            radius = float(random.uniform(0.17, 0.26))
            place = (float(random.uniform(-0.20, 0.20)), float(random.uniform(foot + 0.2, 0.80)))
            lobes.append(ellipse(pen.x, pen.y, place, (radius, radius * 0.92)))
        crown, ragged = union(*lobes), 0.035
    crown = crown + np.float32(ragged) * rough
    sunny = 0.78 + 0.34 * pen.y + 0.30 * rough - 0.18 * pen.x + 0.9 * np.minimum(-crown, 0.08)
    pen.fill(crown, leaf * sunny[..., None], "crown")


def draw_car(pen: Pen, random: np.random.Generator) -> None:
    """A body with a cabin and windows on two wheels, seen from the side."""
    paint, dark = any_paint(random), rgb((0.10, 0.10, 0.11), random, 0.01)
    long = float(random.uniform(1.05, 1.30))
    gloss = (0.72 + 0.42 * pen.y + 0.30 * np.exp(-(((pen.y - 0.52) / 0.06) ** 2)))[..., None]
    corner = np.float32(0.09)
    low = box(pen.x, pen.y, (-long + 0.09, 0.25), (long - 0.09, 0.50)) - corner
    back, front = float(random.uniform(-0.85, -0.55)), float(random.uniform(0.30, 0.50))
    cabin = [(back * long, 0.5), ((front + 0.22) * long, 0.5), (front * long, 1.0)]
    cabin.append(((back + 0.12) * long, 1.0))
    pen.fill(union(low, polygon(pen.x, pen.y, cabin)), paint * gloss, "body")
    glass = rgb((0.22, 0.27, 0.32), random, 0.03) * (0.4 + 0.9 * pen.y)[..., None]
    window = polygon(pen.x, pen.y, cabin) + np.float32(0.08)
    pillar = np.float32(0.035) - np.abs(pen.x - np.float32((back + front) / 2 * long))
    above = np.float32(0.58) - pen.y
    pen.fill(np.maximum(np.maximum(window, pillar), above), glass, "window")
    lamp = box(pen.x, pen.y, (long - 0.12, 0.38), (long + 0.02, 0.48))
    pen.fill(np.maximum(lamp, low), plain(0.98, 0.93, 0.70), "body")
    for side in (-0.58, 0.58):
        reach = ellipse(pen.x, pen.y, (side * long, 0.21), (0.21, 0.21))
        pen.fill(reach, dark, "wheel")
        pen.fill(reach + np.float32(0.11), plain(0.62, 0.63, 0.65), "wheel")


def draw_person(pen: Pen, random: np.random.Generator) -> None:
    """Head, torso with arms, and legs in a step."""
    skins = ((0.88, 0.68, 0.55), (0.72, 0.50, 0.36), (0.45, 0.30, 0.21), (0.94, 0.77, 0.66))
    skin = rgb(skins[random.integers(len(skins))], random, 0.02)
    shirt, trousers, hair = (
        any_paint(random),
        any_paint(random),
        rgb((0.16, 0.11, 0.08), random, 0.0),
    )
    step = float(random.uniform(0.04, 0.14))
    legs = union(
        capsule(pen.x, pen.y, (0.04, 0.48), (step, 0.05), 0.062),
        capsule(pen.x, pen.y, (-0.04, 0.48), (-step, 0.05), 0.062),
    )
    pen.fill(legs, trousers * (0.7 + 0.5 * pen.y)[..., None], "legs")
    swing = float(random.uniform(0.13, 0.26))
    torso = union(
        polygon(pen.x, pen.y, [(-0.10, 0.45), (0.10, 0.45), (0.14, 0.80), (-0.14, 0.80)]),
        capsule(pen.x, pen.y, (0.12, 0.76), (swing, 0.47), 0.045),
        capsule(pen.x, pen.y, (-0.12, 0.76), (-swing, 0.47), 0.045),
    )
    folds = (0.95 + 0.5 * pen.x + 0.10 * pen.texture(random, 0.08))[..., None]
    pen.fill(torso, shirt * folds, "torso")
    head = ellipse(pen.x, pen.y, (0.0, 0.905), (0.082, 0.095))
    pen.fill(head, skin * (1 - 1.2 * pen.x)[..., None], "head")
    pen.fill(np.maximum(head, np.float32(0.925) - pen.y), hair, "head")


def draw_boat(pen: Pen, random: np.random.Generator) -> None:
    """A hull, and a sail on a mast."""
    hull, cloth = any_paint(random), rgb((0.92, 0.90, 0.85), random, 0.05)
    if random.random() < 0.3:
        cloth = any_paint(random)
    long = float(random.uniform(0.38, 0.52))
    mast = capsule(pen.x, pen.y, (-0.04, 0.2), (-0.04, 0.98), 0.014)
    pen.fill(mast, plain(0.42, 0.34, 0.25), "sail")
    main = polygon(pen.x, pen.y, [(0.0, 0.28), (0.36, 0.28), (0.0, 0.97)])
    jib = polygon(pen.x, pen.y, [(-0.32, 0.28), (-0.07, 0.28), (-0.07, 0.88)])
    billow = (0.82 + 0.5 * np.abs(pen.x) + 0.12 * (np.sin(pen.y * 44) > 0.8))[..., None]
    pen.fill(union(main, jib), cloth * billow, "sail")
    shape = polygon(
        pen.x, pen.y, [(-0.72 * long, 0.0), (0.75 * long, 0.0), (1.05 * long, 0.22), (-long, 0.22)]
    )
    stripe = np.abs(pen.y - 0.17) < 0.022
    band = np.where(
        stripe[..., None], np.full(3, 0.92, np.float32), hull * (0.65 + 1.9 * pen.y)[..., None]
    )
    pen.fill(shape, np.asarray(band, np.float32), "hull")


def draw_ball(pen: Pen, random: np.random.Generator) -> None:
    """A striped or plain ball, lit from above."""
    one, two = any_paint(random), rgb((0.92, 0.90, 0.86), random, 0.04)
    if random.random() < 0.35:
        two = one
    reach = ellipse(pen.x, pen.y, (0.0, 0.5), (0.5, 0.5))
    across, up = pen.x / 0.5, (pen.y - 0.5) / 0.5
    turn = float(random.uniform(0.0, np.pi))
    depth = np.sqrt(np.clip(1 - across**2 - up**2, 0.02, 1))
    along = np.arctan2(across * np.cos(turn) + up * np.sin(turn), depth)
    pattern = np.where((np.sin(3 * along + turn) > 0)[..., None], one, two)
    light = 0.45 + 0.5 * np.clip(-0.4 * across + 0.7 * up + 0.6 * depth, 0, 1)
    spark = 0.6 * np.exp(-((across + 0.3) ** 2 + (up - 0.45) ** 2) / 0.03)
    pen.fill(reach, np.asarray(pattern * light[..., None] + spark[..., None], np.float32))


@dataclass(frozen=True)
class Kind:
    """How a kind of thing is drawn, how tall it is in image heights when near, and how wide."""

    draw: Callable[[Pen, np.random.Generator], None]
    tall: tuple[float, float]
    wide: float


KINDS: dict[str, Kind] = {
    "house": Kind(draw_house, (0.55, 0.80), 0.8),
    "tree": Kind(draw_tree, (0.60, 0.95), 0.5),
    "car": Kind(draw_car, (0.28, 0.40), 1.35),
    "person": Kind(draw_person, (0.55, 0.80), 0.34),
    "boat": Kind(draw_boat, (0.60, 0.90), 0.6),
    "ball": Kind(draw_ball, (0.26, 0.40), 0.55),
}


def own_coordinates(
    patch: Patch, middle: float, foot: float, unit: float, mirrored: bool
) -> tuple[Float32[ndarray, "_ _"], Float32[ndarray, "_ _"]]:
    """Coordinates of the window's pixels as a thing sees them."""
    x = (patch.x - np.float32(middle)) / np.float32(-unit if mirrored else unit)
    y = (np.float32(foot) - patch.y) / np.float32(unit)
    shape = (len(patch.y), patch.x.shape[1])
    return np.broadcast_to(x, shape).copy(), np.broadcast_to(y, shape).copy()
