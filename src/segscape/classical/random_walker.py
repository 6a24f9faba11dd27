"""Labels from a few marks: each pixel takes the one a random walker from it is likeliest to meet.

L. Grady: Random Walks for Image Segmentation, TPAMI 2006, doi:10.1109/TPAMI.2006.233.

Differences from the paper: colours of any number of channels, where the paper writes intensities.
The mathematics is `ops/random_walk.py`, the solver `ops/graph_laplacian.py`.

scikit-image divides the squared differences by ten standard deviations of the image, where the
paper divides by the largest, so that its beta means something else and depends on the contrast; and
it solves for every label anew, by conjugate gradients with a diagonal preconditioner. Here the
labels share a hierarchy of graphs, and the last one is what is left.

O(pixels x labels): the iterations hardly depend on the size.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Shaped, UInt8
from torch import Tensor

from segscape.classical.pixels import float_pixels, refuse_beyond_memory
from segscape.ops.random_walk import NOT_MARKED, first_met
from segscape.structures import MethodError, Partition


@dataclass(frozen=True)
class RandomWalk:
    """What `random_walker` found.

    Args:
        partition: the likeliest label of each pixel.
        probabilities: of each label, 0..1, adding up to 1.
    """

    partition: Partition
    probabilities: Float32[Tensor, "label height width"]


def random_walker(
    image: Shaped[Tensor, "channel height width"],
    marks: UInt8[Tensor, "rows columns"],
    *,
    beta: float = 90.0,
    tolerance: float = 1e-5,
) -> RandomWalk:
    """Label every pixel as the marks that a random walk from it meets first.

    Args:
        image: uint8, 16-bit or floating; any number of channels. Only the proportions of
            differences matter, not their unit.
        marks: 0..k-1, each at least once; 255 = not marked. Marked pixels keep their label.
        beta: how much the largest difference in the image holds the walker back; 0 or more, at 0
            only the distance to the marks counts. No edge holds him back by more than a million
            times, so that larger values change little.
        tolerance: at which the linear solver stops, relative to its start; above 0 and below 1.

    Raises:
        MethodError: when nothing is marked or a label between is not, for marks of another size,
            options out of range, an image that is empty, not finite or of another type, or one
            too large for the memory.

    >>> image = torch.zeros(1, 3, 8)
    >>> image[:, :, 5:] = 1
    >>> marks = torch.full((3, 8), 255, dtype=torch.uint8)
    >>> marks[1, 0], marks[1, 7] = 0, 1
    >>> random_walker(image, marks).partition.regions[0].tolist()
    [0, 0, 0, 0, 0, 1, 1, 1]
    """
    if not 0 <= beta < float("inf") or not 0 < tolerance < 1:
        raise MethodError(
            f"random_walker got beta={beta} and tolerance={tolerance}, "
            "expected 0 or more, and a number between 0 and 1"
        )
    pixels = float_pixels(image, "random_walker")
    labels = _labels(marks, image)
    need = (8.0 * image.shape[0] + 200 + 28 * labels) * marks.numel()
    refuse_beyond_memory(need, "random_walker", "shrink the image, or cut out what matters")
    chances = first_met(pixels.numpy(), marks.cpu().numpy(), beta=beta, tolerance=tolerance)
    probabilities = torch.from_numpy(chances)
    return RandomWalk(Partition(_likeliest(probabilities, marks.cpu())), probabilities)


def _labels(
    marks: UInt8[Tensor, "rows columns"], image: Shaped[Tensor, "channel height width"]
) -> int:
    """How many labels there are.

    Raises:
        MethodError: as above.
    """
    if marks.shape != image.shape[1:]:
        raise MethodError(
            f"random_walker got marks of {tuple(marks.shape)} for an image of "
            f"{tuple(image.shape[1:])}: give both the same size"
        )
    used = torch.unique(marks).tolist()
    used = used[:-1] if used[-1] == NOT_MARKED else used
    if used != list(range(len(used))) or not used:
        raise MethodError(
            f"random_walker got marks with the labels {used[:9]}, expected 0, 1, ... without gaps, "
            "each on at least one pixel: mark some, or renumber"
        )
    return len(used)


def _likeliest(
    probabilities: Float32[Tensor, "label height width"], marks: UInt8[Tensor, "height width"]
) -> Tensor:
    return torch.where(marks == NOT_MARKED, probabilities.argmax(0), marks.long()).to(torch.int32)
