"""The smoothest vectors on a graph of pixels: the first eigenvectors of its normalised Laplacian.

Zhou, Saad, Tiago and Chelikowsky 2006, "Self-consistent-field calculations using Chebyshev-filtered
subspace iteration" (J. Comput. Phys. 219(1), doi:10.1016/j.jcp.2006.03.017), for the solver; Shi
and Malik 2000 (doi:10.1109/34.868688), equations 6 to 8, for the problem.

(D - A) u = lambda D u is solved as S z = (1 - lambda) z, with S = D^-1/2 A D^-1/2 symmetric and
u = D^-1/2 z. Blocks of 2 x 2 pixels are joined until the graph is small enough for a dense solver;
on the way back each level starts from the vectors of the one below and filters them: a Chebyshev
polynomial in S grows what is wanted and damps the rest.

Differences from the paper: the multilevel start. scikit-learn and scikit-image hand a sparse matrix
to ARPACK, whose factors fill up for such wide stencils.
Complexity: O(vectors x steps x pixels) for each degree of the polynomial, about a hundred of them,
and three blocks of vectors x pixels of float32.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Float32, Float64

from segscape.ops.affinity import StencilAffinity, accumulate, halved

# Below this many nodes LAPACK is faster than the filter.
_DENSE_NODES = 700
# Vectors beyond the wanted ones, so that the last of these converges, too.
_SPARE = 8
_DEGREE = 12
_MOST_ROUNDS = 40


@dataclass(frozen=True)
class GraphSpectrum:
    """Solutions of (D - A) u = lambda D u, smallest lambda first.

    Args:
        values: lambda, 0 to 2.
        vectors: u, one in a column, over the pixels in reading order; u' D u = 1, and the largest
            entry is positive.
        residuals: |S z - (1 - lambda) z| of each, with |z| = 1.
        degrees: the diagonal of D.
    """

    values: Float64[np.ndarray, "vector"]
    vectors: Float32[np.ndarray, "pixel vector"]
    residuals: Float64[np.ndarray, "vector"]
    degrees: Float32[np.ndarray, "height width"]


def leading_eigenvectors(
    affinity: StencilAffinity, count: int, *, tolerance: float = 1e-3
) -> GraphSpectrum:
    """Find the eigenvectors of the smallest eigenvalues of the normalised Laplacian.

    Args:
        affinity: the graph, connected or not; every node with a positive degree.
        count: of eigenvectors, 1 up to the number of pixels; the first is constant in each
            connected part.
        tolerance: the largest residual that is accepted, above 0. What 40 rounds do not bring
            there is returned as it is, as its residual tells.

    Raises:
        ValueError: for a count out of range or a tolerance that is not above 0.

    >>> from segscape.ops.affinity import pixel_affinity
    >>> wall = np.array([[0.0, 0.0, 5.0, 0.0, 0.0]], np.float32)
    >>> graph = pixel_affinity(np.zeros((0, 1, 5), np.float32), wall, radius_px=1.0)
    >>> solved = leading_eigenvectors(graph, 2)
    >>> solved.values.round(3).tolist(), np.sign(solved.vectors[:, 1]).tolist()
    ([0.0, 0.007], [1.0, 1.0, -0.0, -1.0, -1.0])
    """
    pixels = affinity.own.size
    if not 1 <= count <= pixels:
        raise ValueError(
            f"leading_eigenvectors got count={count} for {pixels} pixels: expected 1 to {pixels}"
        )
    if not tolerance > 0:
        raise ValueError(f"leading_eigenvectors got tolerance={tolerance}: expected above 0")
    z, mu, residuals, degrees = _solved(affinity, count, tolerance)
    u = z[:, :count] / np.sqrt(degrees).reshape(-1, 1)
    peaks = np.take_along_axis(u, np.abs(u).argmax(0)[None], 0)
    u *= np.where(peaks < 0, np.float32(-1), np.float32(1))
    return GraphSpectrum(1 - mu[:count], u, residuals[:count], degrees)


def _solved(
    affinity: StencilAffinity, count: int, tolerance: float
) -> tuple[
    Float32[np.ndarray, "pixel vector"],
    Float64[np.ndarray, "vector"],
    Float64[np.ndarray, "vector"],
    Float32[np.ndarray, "height width"],
]:
    """The largest eigenvalues mu of S with z, a few more than asked, on this level."""
    degrees = affinity.degrees()
    block = min(count + _SPARE, degrees.size)
    if degrees.size <= max(_DENSE_NODES, 4 * block):
        return *_dense(affinity, degrees, block), degrees
    below = halved(affinity)
    # The levels below only have to start this one well.
    coarse, mu, _, coarse_degrees = _solved(below, count, max(tolerance, 1e-2))
    # u = D^-1/2 z is what is constant in the blocks; z is not.
    u = (coarse / np.sqrt(coarse_degrees).reshape(-1, 1)).reshape(*coarse_degrees.shape, -1)
    del coarse
    height, width = degrees.shape
    rows, columns = np.arange(height) // 2, np.arange(width) // 2
    z = u[rows[:, None], columns] * np.sqrt(degrees)[:, :, None]
    return *_filtered(affinity, degrees, z.reshape(degrees.size, -1), count, tolerance), degrees


def _dense(
    affinity: StencilAffinity, degrees: Float32[np.ndarray, "height width"], block: int
) -> tuple[
    Float32[np.ndarray, "pixel vector"],
    Float64[np.ndarray, "vector"],
    Float64[np.ndarray, "vector"],
]:
    nodes = degrees.size
    matrix = affinity.times(np.eye(nodes, dtype=np.float32)).astype(np.float64)
    scale = 1 / np.sqrt(degrees.ravel().astype(np.float64))
    matrix = scale[:, None] * (matrix + matrix.T) / 2 * scale
    mu, z = scipy.linalg.eigh(matrix, subset_by_index=[nodes - block, nodes - 1])
    mu, z = mu[::-1], z[:, ::-1]
    residuals = np.linalg.norm(matrix @ z - mu * z, axis=0)
    return np.ascontiguousarray(z, np.float32), mu, residuals


def _filtered(
    affinity: StencilAffinity,
    degrees: Float32[np.ndarray, "height width"],
    z: Float32[np.ndarray, "pixel vector"],
    count: int,
    tolerance: float,
) -> tuple[
    Float32[np.ndarray, "pixel vector"],
    Float64[np.ndarray, "vector"],
    Float64[np.ndarray, "vector"],
]:
    """Filter and rotate in turns until the wanted vectors are solved."""
    scale = 1 / np.sqrt(degrees)
    lowest = _lowest(affinity, scale)
    other = np.empty_like(z)
    for turn in range(_MOST_ROUNDS):
        accumulate(affinity, scale, z, other, 1.0, 0.0, 0.0)
        mu, turned = _ritz(z, other)
        z = z @ turned
        other = other @ turned
        residuals = np.linalg.norm(other - mu.astype(np.float32) * z, axis=0).astype(np.float64)
        if residuals[:count].max() <= tolerance or turn == _MOST_ROUNDS - 1:
            break
        z, other = _chebyshev(affinity, scale, z, other, lowest, float(mu[-1]))
    return z, mu, residuals


def _ritz(
    z: Float32[np.ndarray, "pixel vector"], product: Float32[np.ndarray, "pixel vector"]
) -> tuple[Float64[np.ndarray, "vector"], Float32[np.ndarray, "vector vector"]]:
    """The best eigenvalues within the span of z, largest first, and how to turn z to them."""
    gram = (z.T @ z).astype(np.float64)
    length = 1 / np.sqrt(np.maximum(np.diag(gram), 1e-30))
    gram = length[:, None] * gram * length
    energy = length[:, None] * (z.T @ product).astype(np.float64) * length
    # A block that lost rank keeps its directions apart by this little.
    gram += 1e-9 * np.eye(len(gram))
    mu, turn = scipy.linalg.eigh((energy + energy.T) / 2, gram)
    return mu[::-1], np.ascontiguousarray(length[:, None] * turn[:, ::-1], np.float32)


def _chebyshev(
    affinity: StencilAffinity,
    scale: Float32[np.ndarray, "height width"],
    z: Float32[np.ndarray, "pixel vector"],
    product: Float32[np.ndarray, "pixel vector"],
    low: float,
    high: float,
) -> tuple[Float32[np.ndarray, "pixel vector"], Float32[np.ndarray, "pixel vector"]]:
    """Chebyshev's polynomial that stays small from `low` to `high` and grows above, scaled to 1 at 1.

    Args:
        affinity: of S.
        scale: of S.
        z: is overwritten.
        product: S z, is overwritten.
        low: the least eigenvalue of S.
        high: where what is wanted begins.

    Returns:
        The filtered vectors, and an array to write to.
    """
    middle, half = (high + low) / 2, (high - low) / 2
    sigma = half / (1 - middle)
    first = sigma
    # T_1, then T_{n+1}(t) = 2 t T_n(t) - T_{n-1}(t), each divided by its value at 1.
    product -= np.float32(middle) * z
    product *= np.float32(sigma / half)
    before, now = z, product
    for _ in range(_DEGREE - 1):
        next_sigma = 1 / (2 / first - sigma)
        factor = 2 * next_sigma / half
        accumulate(affinity, scale, now, before, factor, -factor * middle, -sigma * next_sigma)
        before, now, sigma = now, before, next_sigma
    return now, before


def _lowest(affinity: StencilAffinity, scale: Float32[np.ndarray, "height width"]) -> float:
    """Bound the least eigenvalue of S from below, by a few steps of Lanczos and their error."""
    vector = np.random.default_rng(0).standard_normal((scale.size, 1)).astype(np.float32)
    vector /= np.linalg.norm(vector)
    before, beta = np.zeros_like(vector), 0.0
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(10, scale.size)):
        product = np.empty_like(vector)
        accumulate(affinity, scale, vector, product, 1.0, 0.0, 0.0)
        alpha = float((vector * product).sum())
        product -= np.float32(alpha) * vector + np.float32(beta) * before
        diagonal.append(alpha)
        beta = float(np.linalg.norm(product))
        if beta < 1e-6:
            break
        beside.append(beta)
        before, vector = vector, product / np.float32(beta)
    values = scipy.linalg.eigvalsh_tridiagonal(diagonal, beside[: len(diagonal) - 1])
    return max(-1.0, float(values[0]) - beta)
