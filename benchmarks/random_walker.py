"""The random walker on 640 x 480 pixels against scikit-image's solvers.

scikit-image's weights divide by ten standard deviations where the paper divides by the largest
difference: its beta is chosen so that both have the same weights. Its own tolerance of 1e-3 is kept
as it is what its users get; both answers are held against ours at a far stricter tolerance, and
ours must be the nearer. Its cg_mg needs pyamg and is left out.
"""

import numpy as np
import torch
from skimage import segmentation
from torch import Tensor

from benchmarks.measure import Comparison, compare
from benchmarks.superpixels import photograph
from segscape.classical.random_walker import random_walker

BETA, STRICT = 90.0, 1e-8
SOLVERS = ("cg_j", "cg")


def marked(labels: int) -> Tensor:
    """Strokes: of the cup, and of what is about it."""
    marks = torch.full((480, 640), 255, dtype=torch.uint8)
    marks[200:210, 250:300] = 1
    marks[20:40, 20:600] = 0
    marks[440:450, 50:600] = labels - 1 if labels > 2 else 0
    if labels > 3:
        marks[100:400, 620:624] = 2
    return marks


def scikit_image(image: Tensor, marks: Tensor, solver: str) -> Tensor:
    """The likeliest labels with the same weights as ours."""
    pixels = image.permute(1, 2, 0).numpy() / 255
    largest = max(float((np.diff(pixels, axis=axis) ** 2).sum(2).max()) for axis in (0, 1))
    # Its weights are exp(-beta g^2 / (10 std sqrt(channels))).
    same = BETA * 10 * pixels.std() * 3**0.5 / largest
    ids = np.where(marks == 255, 0, marks.numpy().astype(np.int64) + 1)
    found = segmentation.random_walker(pixels, ids, beta=same, mode=solver, channel_axis=-1)
    return torch.from_numpy(found - 1)


def same_share(one: Tensor, other: Tensor) -> float:
    """The share of pixels of the same label."""
    return float((one == other).float().mean())


def run() -> list[Comparison]:
    """Compare for two and for four labels; print how far each is from the strict answer."""
    image = photograph()
    results: list[Comparison] = []
    for labels in (2, 4):
        marks = marked(labels)

        def ours(marks: Tensor = marks) -> Tensor:
            return random_walker(image, marks).partition.regions.long()

        strict = random_walker(image, marks, tolerance=STRICT)
        close = random_walker(image, marks)
        apart = float((strict.probabilities - close.probabilities).abs().max())
        right = strict.partition.regions.long()
        wrong = 1 - same_share(ours(), right)
        print(f"{labels} labels: off by {apart:.1e} at most, {100 * wrong:.4f} % other labels")
        for solver in SOLVERS:

            def theirs(marks: Tensor = marks, solver: str = solver) -> Tensor:
                return scikit_image(image, marks, solver)

            def is_nearer(ours: Tensor, theirs: Tensor, right: Tensor = right) -> bool:
                print(f"  peer: {100 * (1 - same_share(theirs, right)):.2f} % other labels")
                return same_share(ours, right) >= same_share(theirs, right)

            name = f"random walker, {labels} labels, scikit-image {solver}"
            results.append(compare(ours, theirs, name=name, rounds=3, check=is_nearer))
    return results
