"""What a pixel costs as each of k labels, in nats, learned from clusters or from strokes."""

import numpy as np
import torch
from jaxtyping import Float32, Shaped, UInt8
from numpy import ndarray
from torch import Tensor

from segscape.classical.color_unit import ColorUnit
from segscape.classical.k_means import k_means
from segscape.ops.gaussian_mixture import sampled_mixture
from segscape.structures import MethodError

UNMARKED = 255
_MIXTURE = 3
# The least variance of a label's colours: what rounding to 8 bits leaves, in L*u*v*.
_ROUNDING = 0.02


def costs_of_clusters(
    image: Shaped[Tensor, "channel height width"],
    pixels: Float32[ndarray, "channel height width"],
    clusters: int,
    seed: int,
) -> tuple[Float32[ndarray, "label height width"], Float32[ndarray, "label channel"]]:
    """-log of round Gaussians of one variance, but for what all labels share; and their centers.

    Args:
        image: for k-means.
        pixels: the same in L*u*v*, as k-means compares them.
        clusters: k, 1 or more.
        seed: of k-means.

    Raises:
        MethodError: as `k_means`.
    """
    found = k_means(image, clusters=clusters, seed=seed)
    centers = found.centers.numpy()
    variance = max(found.inertia / pixels.size, _ROUNDING)
    unary = np.empty((len(centers), *pixels.shape[1:]), np.float32)
    for label, center in enumerate(centers):
        difference = pixels - center[:, None, None]
        np.einsum("cyx,cyx->yx", difference, difference, out=unary[label])
    unary /= np.float32(2 * variance)
    return unary, centers


def labels_of_marks(
    marks: UInt8[Tensor, "height width"], size: tuple[int, ...], method: str
) -> UInt8[ndarray, "height width"]:
    """Check strokes of labels 0..k-1, each used at least once, with 255 elsewhere.

    Raises:
        MethodError: for another size or type, no mark at all, or a label left out.
    """
    if marks.dtype != torch.uint8 or tuple(marks.shape) != tuple(size):
        raise MethodError(
            f"{method} got marks of shape {tuple(marks.shape)} and {marks.dtype}, "
            f"expected {tuple(size)}, the image's, and uint8"
        )
    known = marks.cpu().numpy()
    used = np.unique(known[known != UNMARKED])
    if used.size == 0 or int(used[-1]) != used.size - 1:
        raise MethodError(
            f"{method} got marks of labels {used.tolist()}: mark each of 0..k-1 somewhere, "
            "and leave 255 elsewhere"
        )
    return known


def costs_of_marked(
    pixels: Float32[ndarray, "channel height width"],
    known: UInt8[ndarray, "height width"],
    seed: int,
) -> tuple[Float32[ndarray, "label height width"], Float32[ndarray, "label channel"]]:
    """-log of a mixture of Gaussians learned from the marked pixels of each label; and their means.

    Args:
        pixels: in L*u*v*.
        known: as `labels_of_marks` gives them.
        seed: chooses the pixels from which the mixtures start.
    """
    count = int(known[known != UNMARKED].max()) + 1
    mean = pixels.mean(axis=(1, 2), keepdims=True)
    scale = max(float(pixels.std()), _ROUNDING**0.5)
    noise = max(_ROUNDING / scale**2, ColorUnit.NOISE)
    standard = ((pixels - mean) / np.float32(scale)).reshape(len(pixels), -1)
    flat = known.ravel()
    unary = np.empty((count, flat.size), np.float32)
    for label in range(count):
        mixture = sampled_mixture(standard[:, flat == label], _MIXTURE, noise=noise, seed=seed)
        unary[label] = mixture.negative_log_density(standard)
    centers = np.stack([pixels[:, known == label].mean(axis=1) for label in range(count)])
    return unary.reshape(count, *known.shape), centers
