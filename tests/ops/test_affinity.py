import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segscape.ops.affinity import (
    StencilAffinity,
    halved,
    pair_weights,
    pixel_affinity,
    stencil_steps,
)


def dense(affinity: StencilAffinity) -> np.ndarray:
    """A as a matrix, entry by entry from the planes."""
    height, width = affinity.own.shape
    matrix = np.diag(affinity.own.ravel().astype(np.float64))
    for s, (dy, dx) in enumerate(affinity.steps):
        for y in range(height):
            for x in range(width):
                if y + dy < height and 0 <= x + dx < width:
                    a, b = y * width + x, (y + dy) * width + x + dx
                    matrix[a, b] += affinity.weights[s, y, x]
                    matrix[b, a] += affinity.weights[s, y, x]
                else:
                    assert affinity.weights[s, y, x] == 0
    return matrix


def drawn(height: int, width: int, radius: float, seed: int = 0) -> StencilAffinity:
    generator = np.random.default_rng(seed)
    features = generator.random((2, height, width), np.float32)
    return pixel_affinity(features, generator.random((height, width), np.float32), radius_px=radius)


@pytest.mark.parametrize(("radius", "count"), [(1.0, 2), (1.5, 4), (5.0, 40), (10.0, 158)])
def test_steps_are_half_of_the_neighbours(radius, count):
    steps = stencil_steps(radius)
    assert len(steps) == count
    assert len({tuple(s) for s in np.concatenate([steps, -steps])}) == 2 * count


@pytest.mark.parametrize("bandwidth", [2.0, np.inf])
def test_weights_are_those_of_each_pair(bandwidth):
    generator = np.random.default_rng(0)
    features = generator.random((3, 7, 6), np.float32)
    contour = generator.random((7, 6), np.float32)
    found = dense(
        pixel_affinity(features, contour, radius_px=3.0, spatial_bandwidth_px=float(bandwidth))
    )
    places = np.argwhere(np.ones((7, 6)))
    for i, a in enumerate(places):
        for j, b in enumerate(places):
            step = b - a
            if step @ step > 9:
                assert found[i, j] == 0
                continue
            if tuple(step) < (0, 0):
                continue  # Bresenham's ties are broken from the earlier end.
            parts = max(abs(step).max(), 1)
            line = np.rint(a + np.arange(parts + 1)[:, None] / parts * step + 1e-6).astype(int)
            unlike = ((features[:, *a] - features[:, *b]) ** 2).sum() + step @ step / bandwidth**2
            wall = contour[line[:, 0], line[:, 1]].max() if i != j else 0
            assert found[i, j] == pytest.approx(np.exp(-unlike - wall), rel=1e-5)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    radius=st.sampled_from([1.0, 2.0, 5.0]),
    seed=st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_products_blocks_and_pairs_are_the_matrixs(height, width, radius, seed):
    affinity = drawn(height, width, radius, seed)
    matrix = dense(affinity)
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal((3, height, width)).astype(np.float32)
    product = (vectors.reshape(3, -1) @ matrix).reshape(vectors.shape)
    np.testing.assert_allclose(affinity.times(vectors), product, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(affinity.degrees().ravel(), matrix.sum(1), rtol=1e-5)

    scale = generator.random((height, width), np.float32)
    np.testing.assert_allclose(
        dense(affinity.scaled(scale)),
        scale.ravel()[:, None] * matrix * scale.ravel(),
        rtol=1e-4,
    )

    rows, columns = np.indices((height, width)) // 2
    blocks = np.eye(rows.max() * (width + 1) + columns.max() + 1 + rows.max())[
        (rows * (columns.max() + 1) + columns).ravel()
    ][:, : (rows.max() + 1) * (columns.max() + 1)]
    np.testing.assert_allclose(dense(halved(affinity)), blocks.T @ matrix @ blocks, rtol=1e-4)

    regions = generator.integers(0, 4, (height, width), np.int32)
    member = np.eye(4)[regions.ravel()]
    np.testing.assert_allclose(
        pair_weights(affinity, regions, 4), member.T @ matrix @ member, rtol=1e-4
    )


def test_one_walk_adds_three_terms():
    affinity = drawn(5, 6, 2.0)
    generator = np.random.default_rng(1)
    vectors, out = generator.standard_normal((2, 2, 5, 6)).astype(np.float32)
    expected = 2 * affinity.times(vectors) - 3 * vectors + 0.5 * out
    affinity.accumulate(vectors, out, by_matrix=2.0, by_vectors=-3.0, by_out=0.5)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("radius", "bandwidth"), [(0.5, 1.0), (2.0, 0.0)])
def test_options_out_of_range_are_refused(radius, bandwidth):
    flat = np.zeros((2, 2), np.float32)
    with pytest.raises(ValueError, match="expected 1 or more"):
        pixel_affinity(flat[None], flat, radius_px=radius, spatial_bandwidth_px=bandwidth)
