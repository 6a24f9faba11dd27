"""k-means: k centers, each pixel with the nearest, each center the mean of its pixels.

S. P. Lloyd: Least Squares Quantization in PCM, IEEE Transactions on Information Theory 1982,
doi:10.1109/TIT.1982.1056489. The first centers are drawn after D. Arthur, S. Vassilvitskii:
k-means++: The Advantages of Careful Seeding, SODA 2007; batches of pixels instead of all after
D. Sculley: Web-Scale K-Means Clustering, WWW 2010, doi:10.1145/1772690.1772862.

Differences from the papers: those of scikit-learn, which does the work: k-means++ is greedy (the
best of 2 + ln k candidates for each center), and a center that lost all its pixels moves to the
pixel farthest from its own. From scikit-learn itself: colours are compared in L*u*v*, place counts
in their unit, more clusters than distinct pixels are refused, and small batches serve large images
only.

Complexity: pixels x clusters x channels for an iteration, of which there are some tens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Shaped
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import silhouette_score
from torch import Tensor

from segscape.classical.pixels import (
    float_pixels,
    lab_pixels,
    luv_pixels,
    refuse_beyond_memory,
    unit_pixels,
)
from segscape.classical.refusals import refuse_seed
from segscape.structures import MethodError, Partition

# Place is measured so that the longer side of the image is as long as from black to white in L*.
_LONGER_SIDE = 100.0
_MOST_ITERATIONS = 300
_BATCH = 4096


@dataclass(frozen=True)
class KMeansPartition:
    """Pixels by their nearest center.

    Args:
        partition: one region for each cluster; a region need not be connected.
        centers: what the pixels of each region were compared with: the channels, then, where place
            counts, row and column.
        inertia: the sum of the squared distances of pixels to their centers; what is minimised.
    """

    partition: Partition
    centers: Float32[Tensor, "cluster coordinate"]
    inertia: float


@dataclass(frozen=True)
class KMeansPoints:
    """Points by their nearest center.

    Args:
        labels: 0..k-1 for each point.
        centers: the means of the clusters.
        inertia: the sum of the squared distances of points to their centers.
    """

    labels: Int64[Tensor, "point"]
    centers: Float32[Tensor, "cluster dimension"]
    inertia: float


@dataclass(frozen=True)
class ClusterCount:
    """What speaks for a number of clusters.

    Args:
        clusters: the number.
        inertia: never rises with the number; where the curve bends is the elbow.
        silhouette: -1..1, how much nearer points are to their own cluster than to the next; the
            number with the highest is the best.
    """

    clusters: int
    inertia: float
    silhouette: float


def k_means(
    image: Shaped[Tensor, "channel height width"],
    *,
    clusters: int = 8,
    position_weight: float = 0.0,
    color_space: Literal["luv", "lab", "rgb"] = "luv",
    restarts: int = 3,
    mini_batch_from_pixels: int = 1_000_000,
    seed: int = 0,
) -> KMeansPartition:
    """Part an image into clusters of like colour, or of like colour and place.

    Args:
        image: 8-bit, 16-bit or float, of any number of channels.
        clusters: k, 1 or more, and no more than there are distinct pixels.
        position_weight: how much place counts, 0 or more: at 0 not at all; at 1 the longer side of
            the image is as far as black is from white.
        color_space: luv: L*u*v*; lab: L*a*b* (gray images: L*; other channels: times 100); rgb: the
            image's own channels, times 100.
        restarts: how many random starts to make, of which the best is kept, 1 or more.
        mini_batch_from_pixels: images of so many pixels or more are clustered by random batches:
            many times faster, and the inertia a few per cent higher.
        seed: of the random starts.

    Raises:
        MethodError: for an option out of its range, values that are not finite, more clusters than
            distinct pixels, or an image too large for the memory.
    """
    if not (position_weight >= 0 and np.isfinite(position_weight)):
        raise MethodError(f"k-means got position_weight={position_weight}, expected 0 or more")
    _refuse_large(image)
    features = _colors(image, color_space)
    if position_weight > 0:
        features = torch.cat([features, position_weight * _places(*features.shape[1:])])
    return _cluster_map(
        features, clusters, restarts, mini_batch_from_pixels, seed, what="distinct pixels"
    )


def k_means_features(
    features: Float[Tensor, "channel height width"],
    *,
    clusters: int = 8,
    restarts: int = 3,
    mini_batch_from_pixels: int = 1_000_000,
    seed: int = 0,
) -> KMeansPartition:
    """Part any map of features, as a network's, into clusters of like features.

    Args:
        features: compared by Euclidean distance as they are: bring channels to one scale before.
        clusters: k, 1 or more, and no more than there are distinct feature vectors.
        restarts: how many random starts to make, of which the best is kept, 1 or more.
        mini_batch_from_pixels: maps of so many pixels or more are clustered by random batches.
        seed: of the random starts.

    Raises:
        MethodError: for an option out of its range, values that are not finite, more clusters than
            distinct vectors, or a map too large for the memory.
    """
    _refuse_large(features)
    return _cluster_map(
        float_pixels(features, "k-means"),
        clusters,
        restarts,
        mini_batch_from_pixels,
        seed,
        what="distinct feature vectors",
    )


def k_means_points(
    points: Float[Tensor, "point dimension"],
    *,
    clusters: int,
    restarts: int = 10,
    seed: int = 0,
) -> KMeansPoints:
    """Cluster points; what has no round shape, as a ring, is cut by straight lines.

    Args:
        points: finite coordinates, compared by Euclidean distance.
        clusters: k, 1 or more, and no more than there are distinct points.
        restarts: how many random starts to make, of which the best is kept, 1 or more.
        seed: of the random starts.

    Raises:
        MethodError: for an option out of its range, values that are not finite, or more clusters
            than distinct points.
    """
    rows = _rows(points)
    _check(rows, clusters, restarts, "distinct points")
    return _cluster(rows, clusters, restarts, seed, batches=False)


def judge_cluster_counts(
    points: Float[Tensor, "point dimension"],
    *,
    counts: Sequence[int] = tuple(range(2, 11)),
    judged_points: int = 2000,
    restarts: int = 3,
    seed: int = 0,
) -> tuple[ClusterCount, ...]:
    """Cluster into several numbers of clusters, for the elbow and the silhouette.

    Args:
        points: finite coordinates; of a feature map, `features.flatten(1).T`.
        counts: the numbers to try, each 2 or more.
        judged_points: the silhouette is that of so many points, drawn at random, since it compares
            each with each; at least 2.
        restarts: how many random starts to make for each number, 1 or more.
        seed: of the random starts and of the points judged.

    Raises:
        MethodError: for an option out of its range, values that are not finite, or more clusters
            than distinct points.
    """
    if not counts or min(counts) < 2:
        raise MethodError(f"k-means got counts={list(counts)}, expected numbers of 2 or more")
    if judged_points < 2:
        raise MethodError(f"k-means got judged_points={judged_points}, expected 2 or more")
    rows = _rows(points)
    _check(rows, max(counts), restarts, "distinct points")
    judged = np.random.default_rng(seed).permutation(len(rows))[:judged_points]
    found: list[ClusterCount] = []
    for clusters in counts:
        result = _cluster(rows, clusters, restarts, seed, batches=False)
        labels = result.labels.numpy()[judged]
        # Defined for at least one pair apart and one together.
        shown = len(np.unique(labels))
        score = silhouette_score(rows[judged], labels) if 1 < shown < len(labels) else 0.0
        found.append(ClusterCount(clusters, result.inertia, float(score)))
    return tuple(found)


def _colors(
    image: Shaped[Tensor, "channel height width"], color_space: Literal["luv", "lab", "rgb"]
) -> Float32[Tensor, "channel height width"]:
    if color_space == "luv":
        return luv_pixels(image, "k-means")
    if color_space == "lab":
        return lab_pixels(image, "k-means")
    if color_space == "rgb":
        return 100 * unit_pixels(image, "k-means")
    raise MethodError(f"k-means got color_space={color_space!r}, expected luv, lab or rgb")


def _places(height: int, width: int) -> Float32[Tensor, "2 height width"]:
    unit = _LONGER_SIDE / max(height, width)
    rows, columns = torch.meshgrid(
        unit * torch.arange(height), unit * torch.arange(width), indexing="ij"
    )
    return torch.stack([rows, columns])


def _cluster_map(
    features: Float32[Tensor, "channel height width"],
    clusters: int,
    restarts: int,
    mini_batch_from_pixels: int,
    seed: int,
    *,
    what: str,
) -> KMeansPartition:
    rows = np.ascontiguousarray(features.flatten(1).T.numpy())
    _check(rows, clusters, restarts, what)
    refuse_seed("k-means", seed)
    found = _cluster(rows, clusters, restarts, seed, batches=len(rows) >= mini_batch_from_pixels)
    # Batches may leave a center without pixels.
    used, ids = torch.unique(found.labels, return_inverse=True)
    partition = Partition(ids.view(features.shape[1:]))
    return KMeansPartition(partition, found.centers[used], found.inertia)


def _cluster(
    rows: Float32[np.ndarray, "point dimension"],
    clusters: int,
    restarts: int,
    seed: int,
    *,
    batches: bool,
) -> KMeansPoints:
    # scikit-learn's stubs take "auto" for the only number of starts.
    make: Any = MiniBatchKMeans if batches else KMeans
    options = {"batch_size": _BATCH} if batches else {}
    method = make(
        clusters, n_init=restarts, max_iter=_MOST_ITERATIONS, random_state=seed, **options
    )
    labels = method.fit_predict(rows)
    return KMeansPoints(
        torch.from_numpy(labels.astype(np.int64)),
        torch.from_numpy(method.cluster_centers_.astype(np.float32)),
        float(method.inertia_),
    )


def _rows(points: Float[Tensor, "point dimension"]) -> Float32[np.ndarray, "point dimension"]:
    if points.ndim != 2 or points.numel() == 0:
        raise MethodError(
            f"k-means got points of shape {tuple(points.shape)}: expected point x coordinate"
        )
    if not bool(torch.isfinite(points).all()):
        raise MethodError("k-means got points with nan or infinite coordinates: drop them first")
    return np.ascontiguousarray(points.detach().cpu().float().numpy())


def _check(
    rows: Float32[np.ndarray, "point dimension"], clusters: int, restarts: int, what: str
) -> None:
    if clusters < 1:
        raise MethodError(f"k-means got clusters={clusters}, expected 1 or more")
    if restarts < 1:
        raise MethodError(f"k-means got restarts={restarts}, expected 1 or more")
    # The first rows settle it mostly; all are looked at only where they do not.
    for part in (rows[: 8 * clusters], rows):
        distinct = len(np.unique(part, axis=0))
        if distinct >= clusters:
            return
    raise MethodError(
        f"k-means got clusters={clusters}, but there are only {distinct} {what}: "
        f"ask for {distinct} or fewer"
    )


def _refuse_large(image: Shaped[Tensor, "channel height width"]) -> None:
    pixels = image[0].numel() if image.numel() else 0
    # The image as float32, its features, a row for each pixel and a copy; labels of 4 + 8 bytes.
    refuse_beyond_memory(
        4.0 * pixels * (4 * (image.shape[0] + 2) + 4), "k-means", "shrink the image"
    )
