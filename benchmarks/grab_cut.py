"""Five iterations of GrabCut at 640 x 480 against OpenCV; it and graph cut at 12 megapixels.

What both reach is judged by one functional, the paper's: for each labelling the two mixtures are
learned anew from its pixels in one way (`energy_of`: the best of several starts, settled on all
pixels, the same starts for both), and the boundary is the paper's with gamma 50. Since OpenCV's own
data term is the cost of the whole mixture and not of a pixel's component, that one is printed, too.
"""

import os
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch
from PIL import Image

from benchmarks.measure import Comparison, compare, peak_memory
from segscape.classical.grab_cut import grab_cut
from segscape.classical.graph_cut import graph_cut
from segscape.ops.contrast import boundary_costs, cost_of_cut
from segscape.ops.gaussian_mixture import learned_mixtures, sampled_mixture
from segscape.ops.strokes import stroke_pixels

BSDS500 = Path(os.environ.get("SEGSCAPE_DATA", "../shared/data")) / "bsds500/images/val"
GAMMA, ITERATIONS, NOISE = 50.0, 5, 1e-6
Box = tuple[int, int, int, int]
# Strokes on `skimage.data.coffee`, x and y as shares of its sides.
TABLE = (
    ((0.04, 0.33), (0.04, 0.95), (0.24, 0.97)),
    ((0.76, 0.10), (0.96, 0.20), (0.96, 0.90), (0.64, 0.97)),
    ((0.02, 0.05), (0.16, 0.22)),
)
CUP = (
    ((0.19, 0.50), (0.27, 0.80), (0.44, 0.90), (0.71, 0.72), (0.74, 0.43)),
    ((0.34, 0.53), (0.44, 0.61), (0.56, 0.57)),
    ((0.36, 0.15), (0.49, 0.10), (0.61, 0.20)),
    ((0.36, 0.43), (0.48, 0.50), (0.60, 0.45)),
    ((0.39, 0.35), (0.49, 0.37), (0.58, 0.35)),
)


def scenes() -> list[tuple[str, np.ndarray, Box]]:
    """Photographs of 640 x 480 with a box around the object: left, top, right, bottom."""
    found = [("coffee", _at_vga(skimage.data.coffee()), (70, 15, 520, 472))]
    for name, box in (("3096", (180, 110, 590, 340)), ("42049", (180, 100, 530, 420))):
        path = BSDS500 / f"{name}.jpg"
        if path.is_file():
            found.append((f"BSDS500 {name}", _at_vga(np.asarray(Image.open(path))), box))
    return found


def peer(pixels: np.ndarray, box: Box, iterations: int = ITERATIONS) -> np.ndarray:
    """The object as OpenCV finds it."""
    cv2.setRNGSeed(0)
    left, top, right, bottom = box
    mask = np.zeros(pixels.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    rectangle = (left, top, right - left, bottom - top)
    cv2.grabCut(pixels, mask, rectangle, *models, iterations, cv2.GC_INIT_WITH_RECT)
    return (mask & 1).astype(bool)


def energy_of(pixels: np.ndarray, is_object: np.ndarray) -> tuple[float, float]:
    """The paper's energy of a labelling, and the same with the cost of the whole mixture."""
    unit = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / np.float32(255)
    least = whole = cost_of_cut(boundary_costs(unit) * GAMMA, is_object)
    for own in (is_object, ~is_object):
        some = unit[:, own]
        costs: list[tuple[float, float]] = []
        for seed in range(4):
            mixture = sampled_mixture(some, 5, NOISE, seed)
            for _ in range(20):
                learned = learned_mixtures(some, mixture.costs(some)[1], (5,), NOISE)[0]
                mixture = learned or mixture
            one = float(mixture.costs(some)[0].sum(dtype=np.float64))
            costs.append((one, float(mixture.negative_log_density(some).sum(dtype=np.float64))))
        least += min(one for one, _ in costs)
        whole += min(all_ for _, all_ in costs)
    return least, whole


def run() -> list[Comparison]:
    """Compare with OpenCV on each photograph, then print what 12 megapixels take."""
    results: list[Comparison] = []
    for name, pixels, box in scenes():
        image = as_image(pixels)

        def ours(image: torch.Tensor = image, box: Box = box) -> np.ndarray:
            return grab_cut(image, box=box, iterations=ITERATIONS, tolerance=0.0).mask.numpy()

        def theirs(pixels: np.ndarray = pixels, box: Box = box) -> np.ndarray:
            return peer(pixels, box)

        def no_higher(
            a: np.ndarray, b: np.ndarray, name: str = name, pixels: np.ndarray = pixels
        ) -> bool:
            mine, other = energy_of(pixels, a), energy_of(pixels, b)
            print(
                f"  {name}: energy {mine[0]:,.0f}, peer {other[0]:,.0f}; with whole mixtures "
                f"{mine[1]:,.0f}, peer {other[1]:,.0f}; agreement {(a == b).mean():.4f}"
            )
            return mine[0] <= other[0]

        results.append(
            compare(ours, theirs, name=f"GrabCut, 5 iterations, {name}", check=no_higher)
        )
    large()
    return results


def large() -> None:
    """Coarse to fine against full size at once, on a photograph enlarged to 4000 x 3000."""
    image = large_image()
    for method in (cut_box, cut_marks):
        masks: list[np.ndarray] = []
        for factor in (None, 1):
            start = time.perf_counter()
            masks.append(method(image, factor))
            seconds = time.perf_counter() - start
            name = method.__name__
            code = f"from benchmarks.grab_cut import {name}, large_image\ni = large_image()\n"
            base = peak_memory(f"{code}{name}(i[:, :300, :300].contiguous(), None)")
            peak = peak_memory(f"{code}{name}(i, {factor})")
            print(
                f"  4000 x 3000, {name}, {'full size' if factor else 'coarse to fine'}: "
                f"{seconds:.2f} s, {(peak - base) / 2**20:,.0f} MB more than the image",
                flush=True,
            )
        both = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
        print(f"  agreement {(masks[0] == masks[1]).mean():.5f}, IoU {both:.4f}", flush=True)


def large_image() -> torch.Tensor:
    """The coffee photograph at 4000 x 3000 with fresh noise of single pixels."""
    pixels = cv2.resize(skimage.data.coffee(), (4000, 3000), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).integers(-6, 7, (3000, 4000, 1), np.int16)
    return as_image(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def cut_box(image: torch.Tensor, factor: int | None) -> np.ndarray:
    """GrabCut from a box around cup and saucer."""
    height, width = image.shape[1:]
    box = (width * 11 // 100, height * 3 // 100, width * 81 // 100, height * 98 // 100)
    return grab_cut(image, box=box, coarse_to_fine=factor).mask.numpy()


def cut_marks(image: torch.Tensor, factor: int | None) -> np.ndarray:
    """A graph cut from strokes on the cup, its saucer and the table."""
    height, width = image.shape[1:]
    marks = torch.full((height, width), 255, dtype=torch.uint8)
    for label, lines in ((0, TABLE), (1, CUP)):
        for line in lines:
            points = [(x * width, y * height) for x, y in line]
            drawn = stroke_pixels(points, width=width / 75, size=(height, width))
            marks[torch.from_numpy(drawn)] = label
    return graph_cut(image, marks, coarse_to_fine=factor).mask.numpy()


def _at_vga(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, (640, 480), interpolation=cv2.INTER_AREA)


def as_image(pixels: np.ndarray) -> torch.Tensor:
    """Channel first."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
