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

from segscape.ops.affinity import StencilAffinity, halved

# Below this many nodes LAPACK is faster than the filter.
_DENSE_NODES = 700
# Vectors beyond the wanted ones, so that the last of these converges, too.
_SPARE = 8
# Of the polynomial: the least, and the most before the vectors are turned apart again.
_DEGREES = (8, 60)
_MOST_ROUNDS = 40


@dataclass(frozen=True)
class GraphSpectrum:
    """Solutions of (D - A) u = lambda D u, smallest lambda first.

    Args:
        values: lambda, 0 to 2.
        vectors: u, over the pixels; u' D u = 1, and the largest entry is positive.
        residuals: |S z - (1 - lambda) z| of each, with |z| = 1.
        degrees: the diagonal of D.
    """

    values: Float64[np.ndarray, "vector"]
    vectors: Float32[np.ndarray, "vector height width"]
    residuals: Float64[np.ndarray, "vector"]
    degrees: Float32[np.ndarray, "height width"]


@dataclass(frozen=True)
class _Block:
    """Approximate solutions of S z = mu z on one level, largest mu first."""

    z: Float32[np.ndarray, "vector height width"]
    mu: Float64[np.ndarray, "vector"]
    residuals: Float64[np.ndarray, "vector"]


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
    >>> halves = np.array([[[0.0, 0.0, 2.0, 2.0]]], np.float32)
    >>> graph = pixel_affinity(halves, np.zeros((1, 4), np.float32), radius_px=1.0)
    >>> solved = leading_eigenvectors(graph, 2)
    >>> solved.values.round(3).tolist(), np.abs(np.sign(solved.vectors[1]).cumsum()).tolist()
    ([0.0, 0.009], [1.0, 2.0, 1.0, 0.0])
    """
    pixels = affinity.own.size
    if not 1 <= count <= pixels:
        raise ValueError(
            f"leading_eigenvectors got count={count} for {pixels} pixels: expected 1 to {pixels}"
        )
    if not tolerance > 0:
        raise ValueError(f"leading_eigenvectors got tolerance={tolerance}: expected above 0")
    degrees = affinity.degrees()
    block = _solved(affinity, degrees, count, tolerance)
    u = block.z[:count] / np.sqrt(degrees)
    flat = u.reshape(count, -1)
    peaks = np.take_along_axis(flat, np.abs(flat).argmax(1)[:, None], 1)
    flat *= np.where(peaks < 0, np.float32(-1), np.float32(1))
    return GraphSpectrum(1 - block.mu[:count], u, block.residuals[:count], degrees)


def _solved(
    affinity: StencilAffinity,
    degrees: Float32[np.ndarray, "height width"],
    count: int,
    tolerance: float,
) -> _Block:
    """Solve one level, with some vectors more than asked."""
    size = min(count + _SPARE, degrees.size)
    scaled = affinity.scaled(1 / np.sqrt(degrees))
    if degrees.size <= max(_DENSE_NODES, 4 * size):
        return _dense(scaled, size)
    below = halved(affinity)
    degrees_below = below.degrees()
    # The blocks need no better solution than what their spreading to pixels leaves of it.
    start = _solved(below, degrees_below, count, 3 * tolerance)
    # u = D^-1/2 z is what is constant in the blocks; z is not.
    u = start.z / np.sqrt(degrees_below)
    height, width = degrees.shape
    u = u[:, np.arange(height)[:, None] // 2, np.arange(width) // 2]
    u *= np.sqrt(degrees)
    return _filtered(scaled, u, count, tolerance)


def _dense(scaled: StencilAffinity, size: int) -> _Block:
    nodes = scaled.own.size
    units = np.eye(nodes, dtype=np.float32).reshape(nodes, *scaled.own.shape)
    matrix = scaled.times(units).reshape(nodes, nodes).astype(np.float64)
    mu, z = scipy.linalg.eigh(matrix, subset_by_index=[nodes - size, nodes - 1])
    residuals = np.linalg.norm(matrix @ z - mu * z, axis=0)
    z = np.ascontiguousarray(z.T[::-1], np.float32)
    return _Block(z.reshape(size, *scaled.own.shape), mu[::-1], residuals[::-1])


def _filtered(
    scaled: StencilAffinity,
    z: Float32[np.ndarray, "vector height width"],
    count: int,
    tolerance: float,
) -> _Block:
    """Filter and turn the vectors in turns until the wanted ones are solved."""
    lowest = _lowest(scaled)
    rounds = 0
    while True:
        product = scaled.times(z)
        mu, turn = _ritz(z, product)
        z = _turned(turn, z)
        product = _turned(turn, product)
        error = product - mu.astype(np.float32)[:, None, None] * z
        residuals = np.sqrt(np.einsum("vyx,vyx->v", error, error)).astype(np.float64)
        del error
        rounds += 1
        if residuals[:count].max() <= tolerance or rounds == _MOST_ROUNDS:
            return _Block(z, mu, residuals)
        high = min(float(mu[-1]), 1 - 1e-6)
        degree = _degree(lowest, high, float(mu[count - 1]), residuals[:count].max() / tolerance)
        z = _chebyshev(scaled, z, product, (lowest, high), degree)


def _turned(
    turn: Float32[np.ndarray, "vector vector"], z: Float32[np.ndarray, "vector height width"]
) -> Float32[np.ndarray, "vector height width"]:
    return (turn @ z.reshape(len(z), -1)).reshape(z.shape)


def _ritz(
    z: Float32[np.ndarray, "vector height width"],
    product: Float32[np.ndarray, "vector height width"],
) -> tuple[Float64[np.ndarray, "vector"], Float32[np.ndarray, "vector vector"]]:
    """The best eigenvalues within the span of z, largest first, and how to turn z to them."""
    rows = z.reshape(len(z), -1)
    gram = (rows @ rows.T).astype(np.float64)
    energy = (rows @ product.reshape(rows.shape).T).astype(np.float64)
    length = 1 / np.sqrt(np.maximum(np.diag(gram), 1e-30))
    # A block that lost rank keeps its directions apart by this little.
    gram = length[:, None] * gram * length + 1e-9 * np.eye(len(gram))
    energy = length[:, None] * (energy + energy.T) / 2 * length
    mu, turn = scipy.linalg.eigh(energy, gram)
    return mu[::-1], np.ascontiguousarray(turn.T[::-1] * length, np.float32)


def _degree(low: float, high: float, wanted: float, factor: float) -> int:
    """The degree at which Chebyshev's polynomial is `factor` times larger at `wanted` than below.

    Not so high that the polynomial is 200 times larger at 1: the first vectors would drown the
    last ones.
    """
    middle, half = (high + low) / 2, (high - low) / 2
    needed = np.arccosh(factor) / np.arccosh(max((wanted - middle) / half, 1 + 1e-6))
    most = np.arccosh(200) / np.arccosh((1 - middle) / half)
    return int(np.clip(np.ceil(min(needed, most)), *_DEGREES))


def _chebyshev(
    scaled: StencilAffinity,
    z: Float32[np.ndarray, "vector height width"],
    product: Float32[np.ndarray, "vector height width"],
    damped: tuple[float, float],
    degree: int,
) -> Float32[np.ndarray, "vector height width"]:
    """Apply Chebyshev's polynomial that is small where damped, and 1 at 1.

    Args:
        scaled: S.
        z: is overwritten.
        product: S z, is overwritten.
        damped: from the least eigenvalue of S to where what is wanted begins, below 1.
        degree: of the polynomial.
    """
    low, high = damped
    middle, half = (high + low) / 2, (high - low) / 2
    first = sigma = half / (1 - middle)
    # T_1, then T_{n+1}(t) = 2 t T_n(t) - T_{n-1}(t), each divided by its value at 1.
    product -= np.float32(middle) * z
    product *= np.float32(sigma / half)
    before, now = z, product
    for _ in range(degree - 1):
        next_sigma = 1 / (2 / first - sigma)
        factor = 2 * next_sigma / half
        scaled.accumulate(
            now,
            before,
            by_matrix=factor,
            by_vectors=-factor * middle,
            by_out=-sigma * next_sigma,
        )
        before, now, sigma = now, before, next_sigma
    return now


def _lowest(scaled: StencilAffinity) -> float:
    """Bound the least eigenvalue of S from below, by a few steps of Lanczos and their error."""
    shape = (1, *scaled.own.shape)
    vector = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    vector /= np.linalg.norm(vector)
    before, beta = np.zeros_like(vector), 0.0
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(10, vector.size)):
        product = scaled.times(vector)
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
