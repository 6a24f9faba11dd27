"""How alike near pixels are, as a stencil: one plane of weights for each step between two pixels.

Shi and Malik 2000, "Normalized cuts and image segmentation" (IEEE TPAMI 22(8),
doi:10.1109/34.868688), equation 11, for nearness of features and place; Malik, Belongie, Leung and
Shi 2001, "Contour and texture analysis for image segmentation" (IJCV 43(1),
doi:10.1023/A:1011174803800), and Arbelaez, Maire, Fowlkes and Malik 2011, "Contour detection and
hierarchical image segmentation" (IEEE TPAMI 33(5), doi:10.1109/TPAMI.2010.161), equation 10, for
the intervening contour: two pixels are the less alike the stronger the contour between them.

Differences from the papers: scales are divided out by the caller. Nothing of N x N is ever formed:
a radius of 5 pixels has 80 neighbours, which symmetry halves to 40 planes of float32, 25 MB for
481 x 321 pixels; scikit-learn's `img_to_graph` knows the 4 nearest neighbours only.
"""

from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32


@dataclass(frozen=True)
class StencilAffinity:
    """The weights of a graph whose nodes are pixels and whose edges join near ones.

    Args:
        steps: rows and columns from a pixel to its neighbour, of each two opposite ones the one
            that comes later in reading order.
        weights: of the edge from a pixel by a step, 0 or more; 0 where that leaves the image.
        own: the weight of a pixel's edge to itself.
    """

    steps: Int32[np.ndarray, "step 2"]
    weights: Float32[np.ndarray, "step height width"]
    own: Float32[np.ndarray, "height width"]

    def degrees(self) -> Float32[np.ndarray, "height width"]:
        """The sum of the weights at each pixel: D of the papers."""
        return self.times(np.ones((1, *self.own.shape), np.float32))[0]

    def times(
        self, vectors: Float32[np.ndarray, "vector height width"]
    ) -> Float32[np.ndarray, "vector height width"]:
        """Multiply vectors over the pixels by the matrix A of the weights."""
        out = np.empty_like(vectors)
        self.accumulate(vectors, out, by_matrix=1.0, by_vectors=0.0, by_out=0.0)
        return out

    def accumulate(
        self,
        vectors: Float32[np.ndarray, "vector height width"],
        out: Float32[np.ndarray, "vector height width"],
        *,
        by_matrix: float,
        by_vectors: float,
        by_out: float,
    ) -> None:
        """Set out = by_matrix * A vectors + by_vectors * vectors + by_out * out, in one walk.

        Args:
            vectors: over the pixels.
            out: is written; another array than `vectors`.
            by_matrix: any number.
            by_vectors: any number.
            by_out: any number; at 0, `out` may hold anything.
        """
        factors = np.array([by_matrix, by_vectors, by_out], np.float32)
        _accumulate(self.weights, self.own, self.steps, vectors, out, factors)

    def scaled(self, scale: Float32[np.ndarray, "height width"]) -> "StencilAffinity":
        """Multiply each weight by the scales of its two ends: diag(scale) A diag(scale)."""
        weights = self.weights * scale
        height, width = scale.shape
        for plane, (dy, dx) in zip(weights, self.steps, strict=True):
            left, right = max(0, -dx), max(0, -dx, min(width, width - dx))
            plane[: max(0, height - dy), left:right] *= scale[dy:, left + dx : right + dx]
        return StencilAffinity(self.steps, weights, self.own * scale * scale)


def stencil_steps(radius_px: float) -> Int32[np.ndarray, "step 2"]:
    """Give the steps to all neighbours up to a distance that come later in reading order.

    >>> stencil_steps(1.5).tolist()
    [[0, 1], [1, -1], [1, 0], [1, 1]]
    >>> len(stencil_steps(5.0))
    40
    """
    reach = int(radius_px)
    rows, columns = np.mgrid[0 : reach + 1, -reach : reach + 1].reshape(2, -1)
    later = (rows > 0) | (columns > 0)
    near = rows**2 + columns**2 <= radius_px**2
    return np.stack([rows, columns], 1)[later & near].astype(np.int32)


def pixel_affinity(
    features: Float32[np.ndarray, "feature height width"],
    contour: Float32[np.ndarray, "height width"],
    *,
    radius_px: float = 5.0,
    spatial_bandwidth_px: float = float("inf"),
    own_weight: float = 1.0,
) -> StencilAffinity:
    """Weigh the edges between near pixels: w = exp(-|F_i - F_j|^2 - |X_i - X_j|^2 / s^2 - max C).

    Args:
        features: F, in units in which a difference of 1 makes pixels unlike by 1/e; may have none.
        contour: C, 0 or more: the strength of a contour at each pixel, in units of which 1 makes
            the pixels on its two sides unlike by 1/e. Its maximum is taken along the line between
            two pixels, both ends included.
        radius_px: how far apart two pixels that are joined may be, in pixels, 1 or more.
        spatial_bandwidth_px: s, in pixels, above 0; infinite to leave distance out.
        own_weight: of each pixel with itself, 0 or more.

    Raises:
        ValueError: for a radius below 1 or a bandwidth that is not above 0.

    >>> step = np.array([[0.0, 0.0, 1.0, 1.0]], np.float32)
    >>> flat = np.zeros((0, 1, 4), np.float32)
    >>> pixel_affinity(flat, step, radius_px=1.0).weights[0].astype(float).round(2).tolist()
    [[1.0, 0.37, 0.37, 0.0]]
    """
    if not radius_px >= 1 or not spatial_bandwidth_px > 0:
        raise ValueError(
            f"pixel_affinity got radius_px={radius_px}, spatial_bandwidth_px="
            f"{spatial_bandwidth_px}: expected 1 or more, and above 0"
        )
    steps = stencil_steps(radius_px)
    near = np.square(steps / spatial_bandwidth_px).sum(1).astype(np.float32)
    lines, ends = _lines(steps)
    weights = np.zeros((len(steps), *contour.shape), np.float32)
    last = np.ascontiguousarray(np.moveaxis(features, 0, -1))
    _weigh(last, np.ascontiguousarray(contour), steps, near, lines, ends, weights)
    return StencilAffinity(steps, weights, np.full(contour.shape, own_weight, np.float32))


def _lines(
    steps: Int32[np.ndarray, "step 2"],
) -> tuple[Int32[np.ndarray, "place 2"], Int32[np.ndarray, "step"]]:
    """The pixels on the straight line of each step, one after the other, and where each ends."""
    places: list[np.ndarray] = []
    for row, column in steps:
        parts = max(abs(row), abs(column))
        along = np.arange(parts + 1)[:, None] / parts
        places.append(np.rint(along * [row, column] + 1e-6).astype(np.int32))
    return np.concatenate(places), np.cumsum([len(p) for p in places]).astype(np.int32)


@numba.njit(cache=True, nogil=True, parallel=True)
@no_type_check
def _weigh(
    features: Float32[np.ndarray, "height width feature"],
    contour: Float32[np.ndarray, "height width"],
    steps: Int32[np.ndarray, "step 2"],
    near: Float32[np.ndarray, "step"],
    lines: Int32[np.ndarray, "place 2"],
    ends: Int32[np.ndarray, "step"],
    weights: Float32[np.ndarray, "step height width"],
) -> None:
    height, width, count = features.shape
    for y in numba.prange(height):
        for s in range(steps.shape[0]):
            dy, dx = steps[s, 0], steps[s, 1]
            if y + dy >= height:
                continue
            start = ends[s - 1] if s > 0 else 0
            for x in range(max(0, -dx), min(width, width - dx)):
                wall = np.float32(0)
                for i in range(start, ends[s]):
                    wall = max(wall, contour[y + lines[i, 0], x + lines[i, 1]])
                unlike = near[s] + wall
                for f in range(count):
                    difference = features[y, x, f] - features[y + dy, x + dx, f]
                    unlike += difference * difference
                weights[s, y, x] = np.exp(-unlike)


@numba.njit(cache=True, nogil=True, parallel=True, fastmath=True)
@no_type_check
def _accumulate(
    weights: Float32[np.ndarray, "step height width"],
    own: Float32[np.ndarray, "height width"],
    steps: Int32[np.ndarray, "step 2"],
    vectors: Float32[np.ndarray, "vector height width"],
    out: Float32[np.ndarray, "vector height width"],
    factors: Float32[np.ndarray, "3"],
) -> None:
    """Add whole rows, which the compiler turns into wide instructions."""
    count, height, width = vectors.shape
    by_matrix, by_vectors, by_out = factors
    for y in numba.prange(height):
        total = np.empty(width, np.float32)
        for v in range(count):
            for x in range(width):
                total[x] = own[y, x] * vectors[v, y, x]
            for s in range(steps.shape[0]):
                dy, dx = steps[s, 0], steps[s, 1]
                left, right = max(0, -dx), min(width, width - dx)
                if y + dy < height:
                    row = weights[s, y, left:right]
                    there = vectors[v, y + dy, left + dx : right + dx]
                    here = total[left:right]
                    for x in range(right - left):
                        here[x] += row[x] * there[x]
                if y - dy >= 0:
                    row = weights[s, y - dy, left:right]
                    there = vectors[v, y - dy, left:right]
                    here = total[left + dx : right + dx]
                    for x in range(right - left):
                        here[x] += row[x] * there[x]
            if by_out == 0:
                for x in range(width):
                    out[v, y, x] = by_matrix * total[x] + by_vectors * vectors[v, y, x]
            else:
                for x in range(width):
                    out[v, y, x] = (
                        by_matrix * total[x] + by_vectors * vectors[v, y, x] + by_out * out[v, y, x]
                    )


def halved(affinity: StencilAffinity) -> StencilAffinity:
    """Join blocks of 2 x 2 pixels to one: the graph's weights between blocks, and within each.

    What is constant in the blocks has the same cuts and volumes in both graphs (Galerkin).

    >>> flat = pixel_affinity(np.zeros((0, 2, 4), np.float32), np.zeros((2, 4), np.float32))
    >>> halved(flat).own.tolist(), halved(flat).weights.max(0).tolist()
    ([[16.0, 16.0]], [[16.0, 0.0]])
    """
    reach = -(-int(np.abs(affinity.steps).max()) // 2)
    side = 2 * reach + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    steps = np.stack([rows, columns], 1)[side * side // 2 + 1 :].astype(np.int32)
    height, width = affinity.own.shape
    size = (-(-height // 2), -(-width // 2))
    weights = np.zeros((len(steps), *size), np.float32)
    own = np.zeros(size, np.float32)
    _halve(affinity.weights, affinity.own, affinity.steps, reach, weights, own)
    return StencilAffinity(steps, weights, own)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _halve(
    weights: Float32[np.ndarray, "step height width"],
    own: Float32[np.ndarray, "height width"],
    steps: Int32[np.ndarray, "step 2"],
    reach: int,
    coarse: Float32[np.ndarray, "coarse_step coarse_height coarse_width"],
    coarse_own: Float32[np.ndarray, "coarse_height coarse_width"],
) -> None:
    count, height, width = weights.shape
    side = 2 * reach + 1
    for y in range(height):
        for x in range(width):
            coarse_own[y // 2, x // 2] += own[y, x]
    for s in range(count):
        dy, dx = steps[s, 0], steps[s, 1]
        for y in range(height - dy):
            for x in range(max(0, -dx), min(width, width - dx)):
                row, column = (y + dy) // 2 - y // 2, (x + dx) // 2 - x // 2
                # The middle of the square is no step; later in reading order follow 0, 1, 2, ...
                place = row * side + column - 1
                if row == 0 and column == 0:
                    coarse_own[y // 2, x // 2] += 2 * weights[s, y, x]
                elif place >= 0:
                    coarse[place, y // 2, x // 2] += weights[s, y, x]
                else:
                    coarse[-place - 2, (y + dy) // 2, (x + dx) // 2] += weights[s, y, x]


def pair_weights(
    affinity: StencilAffinity, regions: Int32[np.ndarray, "height width"], count: int
) -> Float64[np.ndarray, "{count} {count}"]:
    """Sum the weights between each two regions, and within each, from both of its ends.

    The graph's cuts between unions of regions are sums over this matrix. It takes count^2 doubles.

    Args:
        affinity: the graph of the pixels.
        regions: ids 0..count-1.
        count: of the regions.
    """
    out = np.zeros((count, count), np.float64)
    _sum_pairs(affinity.weights, affinity.own, affinity.steps, regions, out)
    return out


@numba.njit(cache=True, nogil=True)
@no_type_check
def _sum_pairs(
    weights: Float32[np.ndarray, "step height width"],
    own: Float32[np.ndarray, "height width"],
    steps: Int32[np.ndarray, "step 2"],
    regions: Int32[np.ndarray, "height width"],
    out: Float64[np.ndarray, "region region"],
) -> None:
    height, width = own.shape
    for y in range(height):
        for x in range(width):
            out[regions[y, x], regions[y, x]] += own[y, x]
    for s in range(steps.shape[0]):
        dy, dx = steps[s, 0], steps[s, 1]
        for y in range(height - dy):
            for x in range(max(0, -dx), min(width, width - dx)):
                a, b = regions[y, x], regions[y + dy, x + dx]
                out[a, b] += weights[s, y, x]
                out[b, a] += weights[s, y, x]
