"""Normalised cuts: an image as the graph of its pixels, cut where that costs each part little.

Shi and Malik 2000, "Normalized cuts and image segmentation" (IEEE TPAMI 22(8),
doi:10.1109/34.868688); Malik, Belongie, Leung and Shi 2001, "Contour and texture analysis for image
segmentation" (IJCV 43(1), doi:10.1023/A:1011174803800), for the intervening contour; Yu and Shi
2003 (doi:10.1109/ICCV.2003.1238361) and Damle, Minden and Ying 2019 (doi:10.1093/imaiai/iay008)
for two of the assignments; Arbelaez, Maire, Fowlkes and Malik 2011 (doi:10.1109/TPAMI.2010.161) for
contours from eigenvectors.

    NCut(A_1 .. A_k) = sum of cut(A_i, not A_i) / volume(A_i)
    relaxed: (D - A) u = lambda D u, solved as S z = (1 - lambda) z with u = D^-1/2 z

The pixels' eigenvectors become regions in one of four ways. "merging", the default: their gradients
join the local contours, the basins of the joint contours are joined to superpixels, and these two
by two so that the NCut of the pixel graph grows least (Shi and Malik, section 4, way 1). "k-means",
"discretization" and "cluster-qr" assign each pixel by its row of the eigenvectors. With
`cut="recursive"` the superpixels' graph is cut in two by its second eigenvector, at the best of the
thresholds, and its parts again, that of the least NCut first (way 2: the global recursive cut on
the condensed graph).

Differences from the papers: superpixels come from contours, not from k-means; a cut's stability is
not tested; the recursion stops at the number of regions. scikit-image's `cut_normalized` cuts
superpixels recursively, too, but thresholds z where the relaxation asks for u = D^-1/2 z, and works
on networkx graphs; scikit-learn's `spectral_clustering` has no graph of pixels within a radius.
Complexity: O(eigenvectors x radius^2 x pixels) for each of some hundred products; never N x N.
"""

import heapq
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float, Float32, Float64, Int64, Integer, Shaped
from skimage.segmentation import watershed
from torch import Tensor

from segscape.classical.contours import (
    local_contours,
    spectral_contours,
    texture_responses,
    thinned_contours,
)
from segscape.classical.pixels import lab_pixels, refuse_beyond_memory
from segscape.classical.spectral_clustering import assigned
from segscape.ops.affinity import StencilAffinity, pair_weights, pixel_affinity, stencil_steps
from segscape.ops.leading_eigenvectors import GraphSpectrum, leading_eigenvectors
from segscape.ops.region_merging import merge_by_mean, merge_by_ncut
from segscape.structures import MethodError, Partition

Cut = Literal["simultaneous", "recursive"]
Assignment = Literal["merging", "k-means", "discretization", "cluster-qr"]

# The joint contour: of the local log-odds, of the spectral gradient, and the constant.
_LOCAL, _SPECTRAL, _CONSTANT = 0.9, 0.4, -0.25
# The probabilities of the joint contour are spread wider, and so is its bandwidth.
_JOINT_SPREAD = 2.0
# Not 1, as w_ii of the formula: a pixel on a contour would be a group of its own almost for free.
# Not 0 (Ng et al.), so that each has a degree.
_OWN_WEIGHT = 1e-4
# A dense solver takes seconds for as many nodes.
_MOST_NODES = 4000
_METHOD = "normalized_cut"


@dataclass(frozen=True)
class PixelGraph:
    """How the pixels of an image are joined.

    Each bandwidth is the difference that makes two pixels unlike by 1/e, above 0; none leaves it
    out.

    Args:
        radius_px: how far apart pixels that are joined may be, in pixels, 1 to 20.
        contour_bandwidth: of the probability of a contour between two pixels.
        brightness_bandwidth: of L*, 0 to 100.
        color_bandwidth: of a* and b*.
        texture_bandwidth: of the texture filters' responses, shares of the range of L*.
        spatial_bandwidth_px: of distance, in pixels.

    Raises:
        MethodError: for a radius or a bandwidth out of range.
    """

    radius_px: float = 5.0
    contour_bandwidth: float | None = 0.1
    brightness_bandwidth: float | None = None
    color_bandwidth: float | None = None
    texture_bandwidth: float | None = None
    spatial_bandwidth_px: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.radius_px <= 20:
            raise MethodError(
                f"{_METHOD} got radius_px={self.radius_px}: expected 1 to 20; 5 is customary"
            )
        for name, value in vars(self).items():
            if value is not None and not 0 < value < float("inf"):
                raise MethodError(
                    f"{_METHOD} got {name}={value}: expected above 0, or none to leave it out"
                )


def normalized_cut(
    image: Shaped[Tensor, "channel height width"],
    *,
    regions: int = 40,
    cut: Cut = "simultaneous",
    assignment: Assignment = "merging",
    radius_px: float = 5.0,
    contour_bandwidth: float | None = 0.1,
    brightness_bandwidth: float | None = None,
    color_bandwidth: float | None = None,
    texture_bandwidth: float | None = None,
    spatial_bandwidth_px: float | None = None,
    eigenvectors: int | None = None,
    superpixels: int = 200,
    tolerance: float = 2e-3,
    seed: int = 0,
) -> Partition:
    """Part an image into regions that are alike within and unlike what is around them.

    Args:
        image: `uint8`, 16-bit or floating, of any number of channels.
        regions: how many, 1 up to the number of pixels; fewer come back where an assignment leaves
            groups empty. A region may have several parts.
        cut: "simultaneous" makes all regions at once; "recursive" cuts superpixels two by two.
        assignment: how the "simultaneous" cut makes regions of eigenvectors: "merging" (of
            superpixels that follow contours), or "k-means", "discretization" or "cluster-qr" (of
            single pixels).
        radius_px: how far apart pixels that are compared may be, in pixels, 1 to 20.
        contour_bandwidth: the probability of a contour between two pixels that makes them unlike by
            1/e, above 0; none to leave contours out.
        brightness_bandwidth: the difference in L*, 0 to 100, that makes two pixels unlike by 1/e,
            above 0; none to leave brightness out.
        color_bandwidth: the distance in a* and b* that makes two pixels unlike by 1/e, above 0;
            none to leave colour out.
        texture_bandwidth: the distance between responses of the texture filters, as shares of the
            range of L*, that makes two pixels unlike by 1/e, above 0; none to leave texture out.
        spatial_bandwidth_px: the distance in pixels that makes two pixels unlike by 1/e, above 0;
            none to leave distance out.
        eigenvectors: how many, 1 or more; none for 16 where superpixels are cut, and for as many as
            regions otherwise. "discretization" and "cluster-qr" make as many regions as these.
        superpixels: how many are cut, 2 or more; at least twice the regions are taken.
        tolerance: the largest residual of an eigenvector, above 0.
        seed: of the textons and assignments, 0 or more.

    Raises:
        MethodError: for an image that `unit_pixels` refuses, an option out of range, more regions
            than pixels, or an image beyond this machine's memory.
    """
    graph = PixelGraph(
        radius_px,
        contour_bandwidth,
        brightness_bandwidth,
        color_bandwidth,
        texture_bandwidth,
        spatial_bandwidth_px,
    )
    pixels = image.shape[-2] * image.shape[-1]
    if not 1 <= regions <= max(pixels, 1):
        raise MethodError(
            f"{_METHOD} got regions={regions} for {pixels} pixels: expected 1 to {pixels}"
        )
    if superpixels < 2:
        raise MethodError(f"{_METHOD} got superpixels={superpixels}: expected 2 or more")
    by_superpixels = assignment == "merging" or cut == "recursive"
    count = eigenvectors or (min(16, pixels) if by_superpixels else regions)
    lab = _pixels(image, graph, count)
    odds, affinity, spectrum = _solved(lab, graph, count, tolerance, seed)
    if assignment != "merging" and cut != "recursive":
        return _assigned_pixels(spectrum, assignment, regions, seed)
    joint = _LOCAL * odds + _SPECTRAL * spectral_contours(spectrum) + _CONSTANT
    basins = _superpixels(joint.max(0).values.sigmoid(), max(superpixels, 2 * regions), regions)
    if contour_bandwidth is not None:
        spread = replace(graph, contour_bandwidth=_JOINT_SPREAD * contour_bandwidth)
        affinity = image_affinity(lab, spread, joint)
    return cut_superpixels(basins, affinity, regions=regions, cut=cut, seed=seed)


def image_spectrum(
    image: Shaped[Tensor, "channel height width"],
    *,
    eigenvectors: int = 16,
    graph: PixelGraph | None = None,
    tolerance: float = 2e-3,
    seed: int = 0,
) -> GraphSpectrum:
    """Solve (D - A) u = lambda D u on the pixels of an image: for pictures, and to judge a graph.

    Args:
        image: as in `normalized_cut`.
        eigenvectors: how many, 1 up to the number of pixels.
        graph: how pixels are joined; none for the defaults.
        tolerance: the largest residual, above 0.
        seed: of the textons, 0 or more.

    Raises:
        MethodError: as `normalized_cut`.
    """
    graph = graph or PixelGraph()
    lab = _pixels(image, graph, eigenvectors)
    return _solved(lab, graph, eigenvectors, tolerance, seed)[2]


def image_affinity(
    lab: Float32[Tensor, "channel height width"],
    graph: PixelGraph,
    odds: Float32[Tensor, "8 height width"],
) -> StencilAffinity:
    """Weigh the edges between the pixels of an image.

    Args:
        lab: L*, a*, b*, as from `lab_pixels`.
        graph: how pixels are joined.
        odds: contours, as from `local_contours`.
    """
    features: list[Float32[np.ndarray, "feature height width"]] = []
    if graph.brightness_bandwidth is not None:
        features.append((lab[:1] / graph.brightness_bandwidth).numpy())
    if graph.color_bandwidth is not None:
        features.append((lab[1:] / graph.color_bandwidth).numpy())
    if graph.texture_bandwidth is not None:
        features.append((texture_responses(lab) / graph.texture_bandwidth).numpy())
    size = lab.shape[1:]
    contour = np.zeros(size, np.float32)
    if graph.contour_bandwidth is not None:
        contour = thinned_contours(odds) / np.float32(graph.contour_bandwidth)
    return pixel_affinity(
        np.concatenate([np.zeros((0, *size), np.float32), *features]),
        contour,
        radius_px=graph.radius_px,
        spatial_bandwidth_px=graph.spatial_bandwidth_px or float("inf"),
        own_weight=_OWN_WEIGHT,
    )


def cut_superpixels(
    superpixels: Partition,
    affinity: StencilAffinity,
    *,
    regions: int,
    cut: Cut = "simultaneous",
    assignment: Assignment = "merging",
    seed: int = 0,
) -> Partition:
    """Cut the graph of superpixels, whose weights are the sums of their pixels'.

    What is constant in superpixels has the same NCut in this graph and in that of the pixels.

    Args:
        superpixels: any, at most 4,000.
        affinity: the graph of the pixels.
        regions: how many, 1 or more; with more than there are superpixels, these come back.
        cut: "simultaneous" or "recursive".
        assignment: of "simultaneous".
        seed: of the assignment, 0 or more.

    Raises:
        MethodError: for superpixels of another size or more than 4,000, or fewer regions than 1.
    """
    ids = superpixels.regions
    if tuple(ids.shape) != affinity.own.shape:
        raise MethodError(
            f"cut_superpixels got superpixels of {tuple(ids.shape)} and a graph of "
            f"{affinity.own.shape}: make both of one image"
        )
    _check_nodes(superpixels.count)
    weights = pair_weights(affinity, ids.cpu().to(torch.int32).numpy(), superpixels.count)
    groups = _cut_graph(weights, regions, cut, assignment, seed)
    return Partition.from_ids(torch.from_numpy(groups)[ids.cpu().long()])


def cut_region_graph(
    superpixels: Partition,
    edges: Integer[np.ndarray, "edge 2"],
    weights: Float[np.ndarray, "edge"],
    *,
    regions: int,
    cut: Cut = "simultaneous",
    assignment: Assignment = "merging",
    seed: int = 0,
) -> Partition:
    """Cut a region adjacency graph.

    Args:
        superpixels: the nodes, at most 4,000.
        edges: pairs of their ids, each pair once; an edge from a node to itself adds to its volume.
        weights: how alike the two are, 0 or more.
        regions: how many, 1 or more; parts of the graph that no edge joins stay apart.
        cut: "simultaneous" or "recursive".
        assignment: of "simultaneous".
        seed: of the assignment, 0 or more.

    Raises:
        MethodError: for ids that the superpixels do not have, weights that are negative or not
            finite, more than 4,000 superpixels, or fewer regions than 1.
    """
    count = superpixels.count
    _check_nodes(count)
    if edges.size and not 0 <= edges.min() <= edges.max() < count:
        raise MethodError(
            f"cut_region_graph got edges between {edges.min()} and {edges.max()} for {count} "
            f"superpixels: expected ids 0 to {count - 1}"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise MethodError("cut_region_graph got weights that are negative or not finite")
    matrix = np.zeros((count, count))
    np.add.at(matrix, (edges[:, 0], edges[:, 1]), weights)
    matrix = matrix + np.triu(matrix, 1).T + np.tril(matrix, -1).T
    groups = _cut_graph(matrix, regions, cut, assignment, seed)
    return Partition.from_ids(torch.from_numpy(groups)[superpixels.regions.cpu().long()])


def partition_ncut(affinity: StencilAffinity, partition: Partition) -> float:
    """Sum cut / volume over the regions of a partition (Shi and Malik, eq. 2 and 15).

    >>> even = pixel_affinity(np.zeros((0, 1, 4), np.float32), np.zeros((1, 4), np.float32),
    ...     radius_px=1.0)
    >>> round(partition_ncut(even, Partition(torch.tensor([[0, 0, 1, 1]]))), 3)
    0.4
    """
    ids = partition.regions.cpu().to(torch.int32).numpy()
    between = pair_weights(affinity, ids, partition.count)
    return float((1 - np.diag(between) / between.sum(1)).sum())


def _pixels(
    image: Shaped[Tensor, "channel height width"], graph: PixelGraph, vectors: int
) -> Float32[Tensor, "channel height width"]:
    """The image in L*a*b*, once it is sure that its graph can be held.

    Raises:
        MethodError: when it cannot, and as `lab_pixels`.
    """
    planes = 2 * len(stencil_steps(graph.radius_px)) + 6 * (vectors + 8) + 100 + image.shape[0]
    refuse_beyond_memory(
        4.0 * planes * image.shape[-2] * image.shape[-1],
        _METHOD,
        "shrink the image or lower radius_px",
    )
    return lab_pixels(image, _METHOD)


def _solved(
    lab: Float32[Tensor, "channel height width"],
    graph: PixelGraph,
    count: int,
    tolerance: float,
    seed: int,
) -> tuple[Float32[Tensor, "8 height width"], StencilAffinity, GraphSpectrum]:
    """Contours, graph and eigenvectors of an image.

    Raises:
        MethodError: for a count or a tolerance out of range.
    """
    pixels = lab[0].numel()
    if not 1 <= count <= pixels or not tolerance > 0:
        raise MethodError(
            f"{_METHOD} got eigenvectors={count}, tolerance={tolerance} for {pixels} pixels: "
            f"expected 1 to {pixels}, and above 0"
        )
    odds = local_contours(lab, seed=seed)
    affinity = image_affinity(lab, graph, odds)
    return odds, affinity, leading_eigenvectors(affinity, count, tolerance=tolerance)


def _assigned_pixels(
    spectrum: GraphSpectrum,
    assignment: Literal["k-means", "discretization", "cluster-qr"],
    regions: int,
    seed: int,
) -> Partition:
    """Give each pixel a region by its row of the eigenvectors."""
    rows = np.ascontiguousarray(spectrum.vectors.reshape(len(spectrum.values), -1).T, np.float64)
    groups = assigned(rows, assignment, regions, seed).reshape(spectrum.degrees.shape)
    return Partition.from_ids(torch.from_numpy(groups))


def _superpixels(strength: Float32[Tensor, "height width"], count: int, least: int) -> Partition:
    """Join the basins between contours, weakest boundary first, down to a count."""
    values = strength.numpy()
    size = values.shape
    if values.size <= count:
        return Partition(torch.arange(values.size).reshape(size))
    basins = watershed(values).astype(np.int64) - 1
    if basins.max() + 1 < least:
        # An image without contours is cut into squares, so that there is something to join.
        side = max(1, int(np.sqrt(values.size / (4 * least))))
        rows, columns = np.ogrid[: size[0], : size[1]]
        squares = rows // side * -(-size[1] // side) + columns // side
        basins = basins * (squares.max() + 1) + squares
        basins = np.unique(basins, return_inverse=True)[1].reshape(size)
    edges, totals, lengths = _boundaries(basins, values)
    tree = merge_by_mean(edges, totals, lengths, int(basins.max()) + 1)
    return Partition(torch.from_numpy(tree.groups(count)[basins]))


def _boundaries(
    basins: Int64[np.ndarray, "height width"], values: Float32[np.ndarray, "height width"]
) -> tuple[Int64[np.ndarray, "edge 2"], Float64[np.ndarray, "edge"], Float64[np.ndarray, "edge"]]:
    """Pairs of basins that touch, the strength along their boundary summed, and its length."""
    pairs: list[Int64[np.ndarray, " side"]] = []
    strengths: list[Float32[np.ndarray, " side"]] = []
    count = int(basins.max()) + 1
    for one, other in (
        (np.s_[:-1, :], np.s_[1:, :]),
        (np.s_[:, :-1], np.s_[:, 1:]),
    ):
        a, b = basins[one], basins[other]
        apart = a != b
        pairs.append((np.minimum(a, b) * count + np.maximum(a, b))[apart])
        strengths.append(np.maximum(values[one], values[other])[apart])
    names, where = np.unique(np.concatenate(pairs), return_inverse=True)
    totals = np.bincount(where, np.concatenate(strengths), len(names))
    lengths = np.bincount(where, minlength=len(names)).astype(np.float64)
    return np.stack([names // count, names % count], 1), totals, lengths


def _check_nodes(count: int) -> None:
    """Refuse graphs that a dense solver cannot take.

    Raises:
        MethodError: for more than 4,000 nodes.
    """
    if count > _MOST_NODES:
        raise MethodError(
            f"{_METHOD} got {count:,} superpixels: expected at most {_MOST_NODES:,}; make them "
            "larger"
        )


def _cut_graph(
    weights: Float64[np.ndarray, "node node"],
    regions: int,
    cut: Cut,
    assignment: Assignment,
    seed: int,
) -> Int64[np.ndarray, "node"]:
    """Group the nodes of a dense graph, whose diagonal holds what nodes have within themselves.

    Raises:
        MethodError: for fewer regions than 1.
    """
    if regions < 1:
        raise MethodError(f"{_METHOD} got regions={regions}: expected 1 or more")
    nodes = len(weights)
    if regions >= nodes:
        return np.arange(nodes)
    # A node without edges has a volume, too: its NCut is 0.
    weights = weights + np.diag(np.where(weights.sum(1) > 0, 0.0, 1.0))
    if cut == "recursive":
        return _cut_in_two(weights, regions)
    if assignment != "merging":
        rows = _eigenvectors(weights, regions)
        return assigned(rows, assignment, regions, seed)
    edges = np.argwhere(np.triu(weights, 1) > 0)
    between = weights[edges[:, 0], edges[:, 1]]
    tree = merge_by_ncut(edges, between, weights.sum(1), np.diag(weights).copy())
    return tree.groups(regions)


def _eigenvectors(
    weights: Float64[np.ndarray, "node node"], count: int
) -> Float64[np.ndarray, "node vector"]:
    """The smoothest vectors u = D^-1/2 z of a dense graph, the constant one first."""
    nodes = len(weights)
    scale = 1 / np.sqrt(weights.sum(1))
    normalized = scale[:, None] * weights * scale
    _, z = scipy.linalg.eigh(normalized, subset_by_index=[nodes - count, nodes - 1])
    return scale[:, None] * z[:, ::-1]


def _cut_in_two(
    weights: Float64[np.ndarray, "node node"], regions: int
) -> Int64[np.ndarray, "node"]:
    """Cut the part whose two halves have the least NCut, until there are enough parts."""
    groups = np.zeros(len(weights), np.int64)
    queue = [(*_best_halves(weights), 0)]
    for new in range(1, regions):
        _, first, old = heapq.heappop(queue)
        nodes = np.flatnonzero(groups == old)
        groups[np.delete(nodes, first)] = new
        for name in (old, new):
            part = np.flatnonzero(groups == name)
            if len(part) > 1:
                # D is of the part alone (Shi and Malik, section 3, step 5).
                heapq.heappush(queue, (*_best_halves(weights[np.ix_(part, part)]), name))
    return groups


def _best_halves(weights: Float64[np.ndarray, "node node"]) -> tuple[float, tuple[int, ...]]:
    """The least two-way NCut over all thresholds of the second eigenvector, and the first half."""
    order = _eigenvectors(weights, 2)[:, 1].argsort(kind="stable")
    within = np.diag(weights[np.ix_(order, order)].cumsum(0).cumsum(1))[:-1]
    volume = weights.sum(1)[order].cumsum()
    cut = volume[:-1] - within
    values = cut / volume[:-1] + cut / (volume[-1] - volume[:-1])
    best = int(values.argmin())
    return float(values[best]), tuple(order[: best + 1].tolist())
