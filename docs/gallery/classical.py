"""Make the pictures of `docs/tasks/classical.md`: `python docs/gallery/classical.py [NAME ...]`.

Minutes on one core, without a download: a photograph of scikit-image by every method. Names are
those of `PICTURES`; without any, all are made.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8
from PIL import Image
from skimage.data import coffee
from torch import Tensor

from segscape.classical.dense_crf import dense_crf
from segscape.classical.etps import etps
from segscape.classical.felzenszwalb import felzenszwalb
from segscape.classical.grab_cut import grab_cut
from segscape.classical.graph_cut import graph_cut
from segscape.classical.k_means import k_means
from segscape.classical.mean_shift import mean_shift, mean_shift_filter
from segscape.classical.multi_label_cut import multi_label_cut
from segscape.classical.ncut_superpixels import ncut_superpixels
from segscape.classical.normalized_cut import image_spectrum, normalized_cut
from segscape.classical.random_walker import random_walker
from segscape.classical.results import ids_of, regions_of
from segscape.classical.slic import slic
from segscape.classical.watershed import watershed
from segscape.ops.resize import resize_image
from segscape.ops.strokes import stroke_pixels
from segscape.structures import Size
from segscape.visualize.figures import stacked
from segscape.visualize.overlay import side_by_side
from segscape.visualize.regions import boundary_overlay, cut_out, mean_colors

HERE = Path(__file__).parent
# What strokes and the box are drawn on, in pixels.
HEIGHT, WIDTH = 300, 450
TABLE, CHINA, INSIDE = 0, 1, 2
STROKES = (
    (TABLE, ((20, 100), (20, 285), (110, 292))),
    (TABLE, ((340, 30), (430, 60), (430, 270), (290, 292))),
    (TABLE, ((10, 15), (70, 65))),
    (CHINA, ((85, 150), (120, 240), (200, 270), (320, 215), (335, 130))),
    (CHINA, ((155, 160), (200, 182), (250, 170))),
    (INSIDE, ((160, 45), (220, 30), (275, 60))),
    (INSIDE, ((160, 130), (215, 149), (270, 135))),
    (INSIDE, ((175, 105), (220, 110), (260, 105))),
)
BOX = (54, 8, 364, 298)
# Okabe and Ito's blue, orange and green, told apart with any eyes.
COLORS = ((0, 114, 178), (230, 159, 0), (0, 158, 115))

Photo = UInt8[Tensor, "3 height width"]
Marks = UInt8[Tensor, "height width"]


def photograph(height: int = HEIGHT) -> UInt8[Tensor, "3 _ _"]:
    """A cup of coffee."""
    size = Size(height, height * WIDTH // HEIGHT)
    return resize_image(torch.from_numpy(coffee()).permute(2, 0, 1).contiguous(), size)


def strokes(image: Photo, *, two_classes: bool) -> Marks:
    """What is table, china and inside the cup; or, of two classes, background and object."""
    size, scale = (image.shape[1], image.shape[2]), image.shape[1] / HEIGHT
    marks = np.full(size, 255, np.uint8)
    for label, points in STROKES:
        scaled = [(x * scale, y * scale) for x, y in points]
        pixels = stroke_pixels(scaled, width=6 * scale, size=size)
        marks[pixels] = min(label, 1) if two_classes else label
    return torch.from_numpy(marks)


def box(image: Photo) -> tuple[int, int, int, int]:
    """Around cup and saucer."""
    left, top, right, bottom = (round(side * image.shape[1] / HEIGHT) for side in BOX)
    return left, top, right, bottom


def methods_picture() -> None:
    """Every method, boundaries at the left and mean colours at the right of each tile."""
    image = photograph(200)
    found: Mapping[str, object] = {
        "k-means, 8 clusters": k_means(image),
        "mean shift": mean_shift(image),
        "normalised cut, 20 regions": normalized_cut(image, regions=20),
        "Felzenszwalb": felzenszwalb(image),
        "SLIC, 150": slic(image, superpixels=150),
        "ETPS, 150": etps(image, superpixels=150),
        "NCut superpixels, 150": ncut_superpixels(image, superpixels=150),
        "watershed, 150": watershed(image, superpixels=150),
        "alpha-expansion, 8 labels": multi_label_cut(image),
        "random walker, 3 strokes": random_walker(image, strokes(image, two_classes=False)),
        "graph cut, strokes": graph_cut(image, strokes(image, two_classes=True)),
        "GrabCut, box": grab_cut(image, box=box(image)),
    }
    tiles: list[Tensor] = []
    captions: list[str] = []
    for name, result in found.items():
        ids = ids_of(result)
        two = name.startswith(("graph cut", "GrabCut"))
        tile = cut_out(image, ids == 1) if two else mean_colors(image, ids)
        middle = image.shape[2] // 2
        tile[:, :, :middle] = boundary_overlay(image, ids)[:, :, :middle]
        tiles.append(tile)
        captions.append(name)
        tell(f"methods: {name}: {regions_of(result).count} regions")
    write("classical_methods.png", grid(tiles, captions, columns=3))


def eigenvectors_picture() -> None:
    """The eigenvectors that a normalised cut is made of."""
    image = photograph(200)
    spectrum = image_spectrum(image, eigenvectors=9)
    tiles, captions = [image], ["photograph"]
    for number in range(1, 9):
        vector = torch.from_numpy(spectrum.vectors[number])
        low, high = torch.quantile(vector.flatten(), torch.tensor([0.01, 0.99]))
        gray = ((vector - low) / (high - low)).clamp(0, 1)
        tiles.append((255 * gray).round().to(torch.uint8).expand(3, -1, -1))
        captions.append(f"eigenvector {number + 1}, {spectrum.values[number]:.4f}")
    write("classical_eigenvectors.png", grid(tiles, captions, columns=3))


def interaction_picture() -> None:
    """What a person draws, and what comes of it."""
    image = photograph(200)
    two, three = strokes(image, two_classes=True), strokes(image, two_classes=False)
    shown = [tinted(image, two), framed(image, box(image)), tinted(image, three)]
    cut = graph_cut(image, two).mask
    grabbed = grab_cut(image, box=box(image)).mask
    walked = random_walker(image, three).partition.regions
    results = [cut_out(image, cut), cut_out(image, grabbed), tinted(image, walked, opacity=0.6)]
    rows = [
        side_by_side(shown, captions=["strokes", "a box", "strokes of three labels"]),
        side_by_side(results, captions=["graph cut", "GrabCut", "random walker"]),
    ]
    write("classical_interaction.png", stacked(rows))


def superpixels_picture() -> None:
    """About 200 regions by four methods."""
    image = photograph(240)
    found = {
        "SLIC": slic(image, superpixels=200),
        "ETPS": etps(image, superpixels=200),
        "Felzenszwalb": felzenszwalb(image, scale=80.0, smallest_px=50),
        "NCut": ncut_superpixels(image, superpixels=200),
    }
    tiles = [boundary_overlay(image, partition.regions) for partition in found.values()]
    captions = [f"{name}: {partition.count}" for name, partition in found.items()]
    write("classical_superpixels.png", grid(tiles, captions, columns=2))


def dense_crf_picture() -> None:
    """Scores of blocks of 16 pixels with noise, before and after the dense CRF."""
    image = photograph(200)
    parts = random_walker(image, strokes(image, two_classes=False)).partition.regions.long()
    cup = grab_cut(image, box=box(image)).mask
    truth = torch.where(cup, parts.clamp(min=CHINA), TABLE)
    scores = coarse_scores(truth)
    refined = dense_crf(image, scores).scores
    tiles, captions = [image, tinted(image, truth, opacity=0.6)], ["photograph", "truth"]
    for name, each in (("scores", scores), ("after the CRF", refined)):
        labels = each.argmax(0)
        right = 100 * float((labels == truth).float().mean())
        tiles.append(tinted(image, labels, opacity=0.6))
        captions.append(f"{name}: {right:.1f} % right")
    tell(f"dense_crf: {captions}")
    write("classical_dense_crf.png", grid(tiles, captions, columns=2))


def coarse_scores(
    truth: Integer[Tensor, "height width"], *, block: int = 16
) -> Float[Tensor, "category height width"]:
    """What a network of stride 16 might say: each block's shares, noisy, enlarged."""
    hot = torch.nn.functional.one_hot(truth).permute(2, 0, 1)[None].float()
    shares = torch.nn.functional.avg_pool2d(hot, block, ceil_mode=True)
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 1.3, shares.shape)).float()
    logits = torch.nn.functional.interpolate(
        4 * shares + noise, tuple(truth.shape), mode="bilinear", align_corners=False
    )
    return logits[0].softmax(0)


def mean_shift_picture() -> None:
    """Filtering by three pairs of bandwidths, and the regions of the last."""
    image = photograph(200)
    tiles, captions = [image], ["photograph"]
    for spatial, color in ((4.0, 16.0), (8.0, 16.0), (8.0, 32.0), (16.0, 32.0)):
        smooth = mean_shift_filter(
            image, spatial_bandwidth_px=spatial, color_bandwidth=color, color_space="rgb"
        )
        tiles.append(smooth.round().clamp(0, 255).to(torch.uint8))
        captions.append(f"{spatial:g} pixels, {color:g} levels")
    parts = mean_shift(image, spatial_bandwidth_px=16.0, color_bandwidth=32.0, color_space="rgb")
    tiles.append(boundary_overlay(image, parts.regions))
    captions.append(f"the last: {parts.count} regions")
    write("classical_mean_shift.png", grid(tiles, captions, columns=3))


def tinted(image: Photo, labels: Integer[Tensor, "height width"], *, opacity: float = 1.0) -> Photo:
    """Labels in their colours over the image; 255 is left as it is."""
    picture = image.float()
    for label, color in enumerate(COLORS):
        paint = torch.tensor(color)[:, None, None]
        mixed = (1 - opacity) * image + opacity * paint
        picture = torch.where(labels == label, mixed, picture)
    return picture.round().to(torch.uint8)


def framed(image: Photo, sides: tuple[int, int, int, int]) -> Photo:
    """A box drawn on the image, three pixels wide."""
    left, top, right, bottom = sides
    inside = torch.zeros(image.shape[1:], dtype=torch.bool)
    inside[top:bottom, left:right] = True
    inside[top + 3 : bottom - 3, left + 3 : right - 3] = False
    return torch.where(inside, torch.tensor(COLORS[1], dtype=torch.uint8)[:, None, None], image)


def grid(
    tiles: Sequence[Tensor], captions: Sequence[str], *, columns: int
) -> UInt8[Tensor, "3 _ _"]:
    """Tiles under their captions, row by row."""
    starts = range(0, len(tiles), columns)
    return stacked(
        [
            side_by_side(tiles[at : at + columns], captions=captions[at : at + columns])
            for at in starts
        ]
    )


def write(name: str, picture: UInt8[Tensor, "3 _ _"]) -> None:
    """Write a PNG with a palette, a third of the size."""
    pixels = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    palette = pixels.quantize(256, Image.Quantize.MEDIANCUT, kmeans=3)
    palette.save(HERE / name, optimize=True)
    tell(f"{name}: {(HERE / name).stat().st_size // 1000} kB")


def tell(line: str) -> None:
    """Say how far it is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


PICTURES: Mapping[str, Callable[[], None]] = {
    "interaction": interaction_picture,
    "superpixels": superpixels_picture,
    "mean_shift": mean_shift_picture,
    "dense_crf": dense_crf_picture,
    "eigenvectors": eigenvectors_picture,
    "methods": methods_picture,
}


if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]()
