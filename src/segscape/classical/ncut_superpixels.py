"""Superpixels by normalised cuts: coarse regions along contours, each split to small ones.

X. Ren, J. Malik: Learning a Classification Model for Segmentation, ICCV 2003,
doi:10.1109/ICCV.2003.1238308; G. Mori: Guiding Model Search Using Segmentation, ICCV 2005,
doi:10.1109/ICCV.2005.112, and G. Mori, X. Ren, A. A. Efros, J. Malik, CVPR 2004,
doi:10.1109/CVPR.2004.1315182, where they were put to use.

The first stage is `normalized_cut` into a few regions; the second splits each by k-means on its
pixels' rows of the same eigenvectors and their places, into as many parts as its area is worth.

Differences from the papers: the contours are those of `contours.py`, not a learned detector's; the
second stage adds the place to the eigenvectors, so that parts come out round; the largest connected
parts, as many as were asked for, stay, the pixels of the others join their neighbours, so that the
count is exact and every superpixel connected.

No other library has them. Beside SLIC, 200 of each on images of BSDS500, they leak as little, are
rounder, meet fewer of the drawn boundaries and take some 50 times the time (docs/papers.md).

Complexity: that of `normalized_cut`, and O(pixels x superpixels of a region) for the second stage.
"""

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64, Shaped
from numpy import ndarray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from torch import Tensor

from segscape.classical.normalized_cut import PixelGraph, cut_along_contours, solve_image
from segscape.classical.pixels import lab_pixels
from segscape.ops.connected_regions import exactly
from segscape.structures import MethodError, Partition

_METHOD = "ncut_superpixels"
# k-means of the second stage: so many rounds at most.
_ROUNDS = 10


def ncut_superpixels(
    image: Shaped[Tensor, "channel height width"],
    *,
    superpixels: int = 200,
    coarse_regions: int = 20,
    spatial_weight: float = 1.0,
    seed: int = 0,
) -> Partition:
    """Cut an image into superpixels in two stages, the first a normalised cut along contours.

    Args:
        image: uint8, 16-bit or floating from 0 to 1; any number of channels.
        superpixels: how many; 1 or more. Exactly so many come back, or one for each pixel where
            the image has fewer pixels.
        coarse_regions: how many regions the first stage makes, and eigenvectors both stages take;
            1 or more; at most `superpixels` are made.
        spatial_weight: what one superpixel's side of distance counts in the second stage, beside
            eigenvectors of variance 1; above 0. Larger makes superpixels rounder.
        seed: of the textons and of k-means, 0 or more.

    Raises:
        MethodError: for options out of range, or an image that `normalized_cut` refuses.
    """
    if superpixels < 1 or coarse_regions < 1:
        raise MethodError(
            f"{_METHOD} got superpixels={superpixels} and coarse_regions={coarse_regions}, "
            "expected 1 or more"
        )
    if not 0 < spatial_weight < float("inf"):
        raise MethodError(f"{_METHOD} got spatial_weight={spatial_weight}, expected above 0")
    pixels = lab_pixels(image, _METHOD).numpy()
    size = pixels[0].size
    count = min(superpixels, size)
    vectors = min(coarse_regions, size)
    solved = solve_image(image, PixelGraph(), eigenvectors=vectors, seed=seed)
    coarse = cut_along_contours(solved, regions=min(coarse_regions, count), seed=seed)
    features = _features(solved.spectrum.vectors, spatial_weight, (size / count) ** 0.5)
    labels = _split(features, coarse, count, np.random.default_rng(seed))
    return Partition(torch.from_numpy(exactly(labels.reshape(pixels[0].shape), count, pixels)))


def _features(
    vectors: Float32[ndarray, "vector height width"], spatial_weight: float, side: float
) -> Float32[ndarray, "pixel feature"]:
    """Rows of the eigenvectors, each brought to a variance of 1, and places in superpixel sides.

    The first eigenvector is constant, and says nothing.
    """
    places = np.indices(vectors.shape[1:]) * (spatial_weight / side)
    spread = vectors[1:].std((1, 2), keepdims=True)
    joined = np.concatenate([vectors[1:] / np.maximum(spread, 1e-12), places])
    return np.ascontiguousarray(joined.reshape(len(joined), -1).T, np.float32)


def _split(
    features: Float32[ndarray, "pixel feature"],
    coarse: Partition,
    count: int,
    generator: np.random.Generator,
) -> Int32[ndarray, " pixel"]:
    """Split each region by k-means into its share of `count`."""
    regions = coarse.regions.numpy().ravel()
    areas = np.bincount(regions)
    shares = _shares(areas, count)
    labels = np.empty(regions.size, np.int32)
    begin = 0
    for region, share in enumerate(shares):
        inside = np.flatnonzero(regions == region)
        labels[inside] = begin + _kmeans(features[inside], int(share), generator)
        begin += int(share)
    return labels


def _shares(areas: Int64[ndarray, " region"], count: int) -> Int64[ndarray, " region"]:
    """Parts in proportion to areas, at least one each, none with more parts than pixels."""
    shares = np.ones(len(areas), np.int64)
    for _ in range(count - len(areas)):
        shares[(areas / (shares + 0.5) * (shares < areas)).argmax()] += 1
    return shares


def _kmeans(
    features: Float32[ndarray, "pixel feature"], count: int, generator: np.random.Generator
) -> Int32[ndarray, " pixel"]:
    if count == 1 or len(features) <= count:
        return np.arange(len(features), dtype=np.int32) % count
    seed = int(generator.integers(2**31))
    # It is started once anyway, as its seeds are k-means++.
    found = KMeans(count, max_iter=_ROUNDS, random_state=seed)
    with threadpool_limits(1):
        return found.fit_predict(features).astype(np.int32)
