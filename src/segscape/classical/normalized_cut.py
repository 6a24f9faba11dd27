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
`cut="recursive"` the superpixels' graph is cut in two by its second eigenvector, and its parts
again (way 2). Both are in `region_graph_cut.py`.

Differences from the papers: superpixels come from contours, not from k-means. scikit-image cuts
graphs of regions only; scikit-learn's `spectral_clustering` has no graph of pixels within a radius.
Complexity: O(eigenvectors x radius^2 x pixels) for each of some hundred products; never N x N.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, Shaped
from skimage.segmentation import watershed
from torch import Tensor

from segscape.classical.contours import (
    local_contours,
    spectral_contours,
    texture_responses,
    thinned_contours,
)
from segscape.classical.pixels import lab_pixels, refuse_beyond_memory
from segscape.classical.refusals import refuse_other, refuse_seed
from segscape.classical.region_graph_cut import Assignment, Cut, cut_superpixels
from segscape.classical.spectral_clustering import assigned
from segscape.ops.affinity import StencilAffinity, pixel_affinity, stencil_steps
from segscape.ops.leading_eigenvectors import GraphSpectrum, leading_eigenvectors
from segscape.ops.region_merging import merge_by_mean
from segscape.structures import MethodError, Partition

# The joint contour: of the local log-odds, of the spectral gradient, and the constant.
_LOCAL, _SPECTRAL, _CONSTANT = 0.9, 0.4, -0.25
# The probabilities of the joint contour are spread wider, and so is its bandwidth.
_JOINT_SPREAD = 2.0
# Not 1, as w_ii of the formula: a pixel on a contour would be a group of its own almost for free.
# Not 0 (Ng et al.), so that each has a degree.
_OWN_WEIGHT = 1e-4
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


@dataclass(frozen=True)
class SolvedImage:
    """An image as a graph of its pixels, with the smoothest vectors on it.

    Args:
        lab: the pixels, as from `lab_pixels`.
        odds: their local contours.
        graph: how they are joined.
        affinity: the weights.
        spectrum: the eigenvectors.
    """

    lab: Float32[Tensor, "channel height width"]
    odds: Float32[Tensor, "8 height width"]
    graph: PixelGraph
    affinity: StencilAffinity
    spectrum: GraphSpectrum


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
    refuse_other(_METHOD, "cut", cut, Cut)
    refuse_other(_METHOD, "assignment", assignment, Assignment)
    refuse_seed(_METHOD, seed)
    pixels = image.shape[-2] * image.shape[-1]
    if not 1 <= regions <= max(pixels, 1):
        raise MethodError(
            f"{_METHOD} got regions={regions} for {pixels} pixels: expected 1 to {pixels}"
        )
    if superpixels < 2:
        raise MethodError(f"{_METHOD} got superpixels={superpixels}: expected 2 or more")
    by_superpixels = assignment == "merging" or cut == "recursive"
    count = min(16, pixels) if by_superpixels else regions
    count = count if eigenvectors is None else eigenvectors
    solved = solve_image(image, graph, eigenvectors=count, tolerance=tolerance, seed=seed)
    if assignment != "merging" and cut != "recursive":
        return _assigned_pixels(solved.spectrum, assignment, regions, seed)
    return cut_along_contours(solved, regions=regions, superpixels=superpixels, cut=cut, seed=seed)


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
    solved = solve_image(image, graph, eigenvectors=eigenvectors, tolerance=tolerance, seed=seed)
    return solved.spectrum


def solve_image(
    image: Shaped[Tensor, "channel height width"],
    graph: PixelGraph,
    *,
    eigenvectors: int,
    tolerance: float = 2e-3,
    seed: int = 0,
) -> SolvedImage:
    """Find the contours, the graph and the eigenvectors of an image.

    Args:
        image: as in `normalized_cut`.
        graph: how pixels are joined.
        eigenvectors: how many, 1 up to the number of pixels.
        tolerance: the largest residual, above 0.
        seed: of the textons, 0 or more.

    Raises:
        MethodError: as `normalized_cut`.
    """
    pixels = image.shape[-2] * image.shape[-1]
    planes = 2 * len(stencil_steps(graph.radius_px)) + 6 * (eigenvectors + 8) + 100
    refuse_beyond_memory(
        4.0 * (planes + image.shape[0]) * pixels, _METHOD, "shrink the image or lower radius_px"
    )
    lab = lab_pixels(image, _METHOD)
    if not 1 <= eigenvectors <= pixels or not tolerance > 0:
        raise MethodError(
            f"{_METHOD} got eigenvectors={eigenvectors}, tolerance={tolerance} for {pixels} "
            f"pixels: expected 1 to {pixels}, and above 0"
        )
    odds = local_contours(lab, seed=seed)
    affinity = image_affinity(lab, graph, odds)
    spectrum = leading_eigenvectors(affinity, eigenvectors, tolerance=tolerance)
    return SolvedImage(lab, odds, graph, affinity, spectrum)


def cut_along_contours(
    solved: SolvedImage,
    *,
    regions: int,
    superpixels: int = 200,
    cut: Cut = "simultaneous",
    seed: int = 0,
) -> Partition:
    """Cut the graph of superpixels that follow the local and the spectral contours.

    Args:
        solved: the image.
        regions: as in `normalized_cut`.
        superpixels: as in `normalized_cut`.
        cut: as in `normalized_cut`.
        seed: of the assignment, 0 or more.
    """
    joint = _LOCAL * solved.odds + _SPECTRAL * spectral_contours(solved.spectrum) + _CONSTANT
    basins = _superpixels(joint.max(0).values.sigmoid(), max(superpixels, 2 * regions), regions)
    graph, affinity = solved.graph, solved.affinity
    if graph.contour_bandwidth is not None:
        graph = replace(graph, contour_bandwidth=_JOINT_SPREAD * graph.contour_bandwidth)
        affinity = image_affinity(solved.lab, graph, joint)
    return cut_superpixels(basins, affinity, regions=regions, cut=cut, seed=seed)


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
