"""What `graph_cut` finds from simulated strokes on BSDS500, by the weight of its colours.

`python -m benchmarks.simulated_strokes SPLIT [WEIGHT ...]` prints the mean IoU of each weight. The
object is a region of 5 to 60 % of the image that a random annotator drew; 2 to 4 strokes lie on it
and 4 to 8 on the rest: smooth random walks, 5 pixels wide, well inside. Not run by `python -m
benchmarks`: a split takes minutes.
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from scipy import ndimage

from segscape.classical.graph_cut import graph_cut
from segscape.datasets.bsds500 import AnnotatedImage, BerkeleyDataset
from segscape.ops.strokes import stroke_pixels

ROOT = Path(os.environ.get("SEGSCAPE_DATA", "../shared/data")) / "bsds500"
WEIGHTS = (0.0, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3)
STEP = 3.0


def shown_object(item: AnnotatedImage, rng: np.random.Generator) -> tuple[ndarray, ndarray] | None:
    """A region and marks of it and of the rest; None where no region is of such a size."""
    partitions = [truth.regions.numpy() for truth in item.truths]
    regions = [
        ids == region
        for ids in partitions
        for region in np.unique(ids)
        if 0.05 <= (ids == region).mean() <= 0.6
    ]
    if not regions:
        return None
    region = regions[rng.integers(len(regions))]
    numbers = int(rng.integers(2, 5)), int(rng.integers(4, 9))
    marks = np.full(region.shape, 255, np.uint8)
    marks[_strokes(region, numbers[0], rng)] = 1
    marks[_strokes(~region, numbers[1], rng)] = 0
    return region, marks


def _strokes(region: ndarray, number: int, rng: np.random.Generator) -> ndarray:
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    inner = depth >= min(max(5, 0.25 * depth.max()), depth.max())
    marked = np.zeros(region.shape, np.bool_)
    for _ in range(number):
        length = rng.uniform(0.5, 1.2) * region.sum() ** 0.5
        marked |= stroke_pixels(_walk(inner, length, rng), width=5.0, size=region.shape)
    return marked & region & (depth >= 2)


def _walk(inner: ndarray, length: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """A smooth random walk inside, in steps of 3 pixels; it ends where no step stays inside."""
    height, width = inner.shape
    rows, columns = np.nonzero(inner)
    start = rng.integers(len(rows))
    x, y = columns[start] + 0.5, rows[start] + 0.5
    points = [(x, y)]
    angle, turn = rng.uniform(0, 2 * np.pi), 0.0
    for _ in range(int(length / STEP)):
        turn = 0.7 * turn + rng.normal(0, 0.25)
        for _ in range(12):
            to_x, to_y = x + STEP * np.cos(angle), y + STEP * np.sin(angle)
            if 0 <= to_x < width and 0 <= to_y < height and inner[int(to_y), int(to_x)]:
                break
            angle = rng.uniform(0, 2 * np.pi)
        else:
            break
        x, y = to_x, to_y
        angle += turn
        points.append((x, y))
    return points


def intersections_over_union(split: str, weights: tuple[float, ...]) -> ndarray:
    """One row for each image, one column for each weight."""
    rows: list[list[float]] = []
    data = BerkeleyDataset(ROOT, split=split)
    for index in range(len(data)):
        item = data[index]
        shown = shown_object(item, np.random.default_rng(index))
        if shown is None:
            continue
        region, marks = shown
        masks = [
            graph_cut(item.image, torch.from_numpy(marks), regional_weight=weight).mask.numpy()
            for weight in weights
        ]
        rows.append([(mask & region).sum() / (mask | region).sum() for mask in masks])
        print(item.key, " ".join(f"{value:.3f}" for value in rows[-1]), flush=True)
    return np.array(rows)


if __name__ == "__main__":
    chosen = tuple(float(word) for word in sys.argv[2:]) or WEIGHTS
    found = intersections_over_union(sys.argv[1], chosen)
    for weight, mean in zip(chosen, found.mean(axis=0), strict=True):
        print(f"weight {weight:g}: mean IoU {mean:.4f} of {len(found)} images")
