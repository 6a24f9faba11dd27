"""Make the pictures and the numbers of `clustering.md`: `python docs/gallery/clustering.py`.

A minute on one core, without a download: points of four shapes, and a photograph of scikit-image.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8
from PIL import Image, ImageDraw
from skimage.data import coffee
from sklearn.datasets import make_blobs, make_circles, make_moons
from torch import Tensor

from segscape.classical.k_means import (
    ClusterCount,
    judge_cluster_counts,
    k_means,
    k_means_points,
)
from segscape.classical.mean_shift import mean_shift_points
from segscape.classical.spectral_clustering import spectral_clustering
from segscape.io.image_files import write_image
from segscape.ops.color import rgb_to_luv
from segscape.ops.resize import resize_image
from segscape.structures import Size
from segscape.visualize.figures import stacked
from segscape.visualize.overlay import side_by_side

HERE = Path(__file__).parent
SIDE = 180
# Drawn larger and shrunk, so that dots and lines are smooth.
FINE = 4
PAPER, INK, LINE = (255, 255, 255), (28, 32, 38), (0, 114, 178)
# Okabe and Ito's, told apart with any eyes.
COLORS = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
    (240, 228, 66),
    (90, 90, 90),
)
MIDDLES, SPREADS = [[0.0, 0.0], [4.5, 2.0], [4.5, -2.0]], [1.5, 0.3, 0.3]
COUNTS = tuple(range(2, 11))

Points = Float[Tensor, "point 2"]
Labels = Integer[Tensor, "point"]

METHODS: Mapping[str, Callable[[Points, int, float], Labels]] = {
    "k-means": lambda points, clusters, _: k_means_points(points, clusters=clusters).labels,
    "mean shift": lambda points, _, radius: mean_shift_points(points, bandwidth=radius).labels,
    "spectral clustering": lambda points, clusters, _: (
        spectral_clustering(points, clusters=clusters).labels
    ),
}


def shapes() -> Mapping[str, tuple[Points, Labels, float]]:
    """Points, the truth, and the bandwidth of mean shift that does best or nearly so."""
    # The stubs do not know that each blob may have a count and a spread of its own.
    unequal: Any = make_blobs
    made = {
        "blobs": (*make_blobs(300, centers=3, cluster_std=0.9, random_state=3)[:2], 2.5),
        "unequal blobs": (
            *unequal([240, 30, 30], centers=MIDDLES, cluster_std=SPREADS, random_state=0)[:2],
            2.0,
        ),
        "rings": (*make_circles(300, factor=0.45, noise=0.05, random_state=0), 0.5),
        "moons": (*make_moons(300, noise=0.06, random_state=0), 0.6),
    }
    return {
        name: (torch.from_numpy(points), torch.from_numpy(truth), radius)
        for name, (points, truth, radius) in made.items()
    }


def agreement(found: Labels, truth: Labels) -> float:
    """The share of pairs of points that both put together or both put apart (Rand index)."""
    ours = found[:, None] == found
    theirs = truth[:, None] == truth
    pairs = torch.triu(torch.ones_like(ours), diagonal=1)
    return float((ours == theirs)[pairs].float().mean())


def scatter(points: Points, labels: Labels) -> UInt8[Tensor, "3 _ _"]:
    """Dots in the colours of their clusters, x to the right and y up."""
    side = SIDE * FINE
    low, high = points.min(0).values, points.max(0).values
    scale = 0.88 * side / float((high - low).max())
    places = (points - (low + high) / 2) * scale * torch.tensor([1, -1]) + side / 2
    canvas = Image.new("RGB", (side, side), PAPER)
    draw = ImageDraw.Draw(canvas)
    for (x, y), label in zip(places.tolist(), labels.tolist(), strict=True):
        color = COLORS[label % len(COLORS)]
        draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=color)
    return _shrunk(canvas)


def curve(
    values: Sequence[float], marked: int, *, low: float, high: float
) -> UInt8[Tensor, "3 _ _"]:
    """A line over the numbers of clusters, one of them marked."""
    width, height, edge = 2 * SIDE * FINE, SIDE * FINE, 26 * FINE
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    xs = np.linspace(edge, width - edge, len(values))
    shares = (np.array(values) - low) / (high - low)
    ys = height - edge - shares * (height - 2 * edge)
    draw.line((edge, height - edge, width - edge, height - edge), fill=INK, width=FINE)
    draw.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=LINE, width=2 * FINE)
    for count, x, y in zip(COUNTS, xs.tolist(), ys.tolist(), strict=True):
        radius = 6 * FINE if count == marked else 3 * FINE
        color = COLORS[5] if count == marked else LINE
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
        draw.text((x, height - edge + 6 * FINE), f"{count}", fill=INK, anchor="ma", font_size=48)
    return _shrunk(canvas)


def points_picture() -> list[str]:
    """All shapes by all methods; the lines of the table of numbers."""
    rows: list[Tensor] = []
    lines: list[str] = []
    for name, (points, truth, radius) in shapes().items():
        clusters = int(truth.max()) + 1
        tiles = [scatter(points, truth)]
        captions = [f"{name}: truth"]
        for method, cluster in METHODS.items():
            found = cluster(points, clusters, radius)
            tiles.append(scatter(points, found))
            captions.append(f"{method}: {agreement(found, truth):.2f}")
        rows.append(side_by_side(tiles, captions=captions))
        lines.append(
            f"| {name} | {' | '.join(caption.split(': ')[1] for caption in captions[1:])} |"
        )
    write_image(HERE / "clustering_points.png", stacked(rows))
    return lines


def counts_picture() -> list[str]:
    """Elbow and silhouette of blobs, of rings and of a photograph's colours."""
    named = shapes()
    image = photograph()
    colors = rgb_to_luv(image.float() / 255).flatten(1).T
    drawn = torch.from_numpy(np.random.default_rng(0).permutation(len(colors))[:10_000])
    samples = {"blobs": named["blobs"][0], "rings": named["rings"][0], "coffee": colors[drawn]}
    rows: list[Tensor] = []
    lines: list[str] = []
    for name, points in samples.items():
        judged = judge_cluster_counts(points, counts=COUNTS)
        best = max(judged, key=lambda one: one.silhouette)
        rows.append(
            side_by_side(
                [
                    curve(shares(judged), elbow(judged), low=0.0, high=1.0),
                    curve([one.silhouette for one in judged], best.clusters, low=0.0, high=0.9),
                ],
                captions=[
                    f"{name}: inertia, elbow at {elbow(judged)}",
                    f"{name}: silhouette, best {best.silhouette:.2f} at {best.clusters}",
                ],
            )
        )
        lines.append(f"| {name} | {elbow(judged)} | {best.clusters} | {best.silhouette:.2f} |")
    write_image(HERE / "clustering_counts.png", stacked(rows))
    return lines


def shares(judged: Sequence[ClusterCount]) -> list[float]:
    """Inertia as a share of that of the fewest clusters."""
    return [one.inertia / judged[0].inertia for one in judged]


def elbow(judged: Sequence[ClusterCount]) -> int:
    """The number whose point lies farthest below the line from the first to the last."""
    values = np.array(shares(judged))
    line = np.linspace(values[0], values[-1], len(values))
    return judged[int((line - values).argmax())].clusters


def photograph() -> UInt8[Tensor, "3 _ _"]:
    """A cup of coffee."""
    return resize_image(torch.from_numpy(coffee()).permute(2, 0, 1).contiguous(), Size(200, 300))


def image_picture() -> None:
    """k-means of a photograph by the number of clusters and the weight of place."""
    image = photograph()
    tiles, captions = [image], ["coffee"]
    for clusters, weight in ((3, 0.0), (8, 0.0), (8, 0.5), (60, 1.0)):
        found = k_means(image, clusters=clusters, position_weight=weight)
        regions = found.partition.regions
        tiles.append(mean_colors(image, regions.long()))
        captions.append(f"k = {clusters}" + (f", place {weight:g}" if weight else ""))
    write_image(
        HERE / "clustering_image.png",
        stacked(
            [
                side_by_side(tiles[:3], captions=captions[:3]),
                side_by_side(tiles[3:], captions=captions[3:]),
            ]
        ),
    )


def mean_colors(
    image: UInt8[Tensor, "3 height width"], regions: Integer[Tensor, "height width"]
) -> UInt8[Tensor, "3 height width"]:
    """Every region in its mean colour."""
    flat = regions.flatten()
    sums = torch.zeros(int(flat.max()) + 1, 3).index_add_(0, flat, image.flatten(1).T.float())
    means = sums / flat.bincount()[:, None]
    return means[flat].round().to(torch.uint8).T.reshape(image.shape)


def _shrunk(canvas: Image.Image) -> UInt8[Tensor, "3 _ _"]:
    small = canvas.resize((canvas.width // FINE, canvas.height // FINE), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).contiguous()


if __name__ == "__main__":
    tables = [points_picture(), counts_picture()]
    image_picture()
    sys.stdout.write("\n\n".join("\n".join(lines) for lines in tables) + "\n")
