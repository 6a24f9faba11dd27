import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.segmentation import felzenszwalb

from segscape.ops.gaussian import gaussian_smoothed
from segscape.ops.graph_regions import graph_regions


def textbook(pixels: np.ndarray, scale: float, smallest: int) -> np.ndarray:
    """Algorithm 1 with sets, edge by edge."""
    _, height, width = pixels.shape
    edges = []
    for y in range(height):
        for step, (down, right) in enumerate([(0, 1), (1, -1), (1, 0), (1, 1)]):
            for x in range(width):
                if y + down < height and 0 <= x + right < width:
                    gap = pixels[:, y, x] - pixels[:, y + down, x + right]
                    order = (float((gap * gap).sum()), y, step, x)
                    edges.append((order, (y, x), (y + down, x + right)))
    edges.sort()
    region = {(y, x): {(y, x)} for y in range(height) for x in range(width)}
    inside = {id(part): 0.0 for part in region.values()}
    for share in (True, False):
        for order, one, other in edges:
            a, b = region[one], region[other]
            if a is b:
                continue
            limit = min(inside[id(a)] + scale / len(a), inside[id(b)] + scale / len(b))
            if order[0] ** 0.5 <= limit if share else min(len(a), len(b)) < smallest:
                a |= b
                inside[id(a)] = order[0] ** 0.5
                for pixel in b:
                    region[pixel] = a
    found: dict[int, int] = {}
    out = np.empty((height, width), int)
    for (y, x), part in region.items():
        out[y, x] = found.setdefault(id(part), len(found))
    return out


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 3),
    st.sampled_from([1.0, 20.0, 200.0]),
    st.integers(1, 8),
    st.integers(0, 10_000),
)
def test_regions_are_those_of_algorithm_1(height, width, channels, scale, smallest, seed):
    # Powers of two, so that no weight is rounded, and many are equal.
    levels = np.random.default_rng(seed).integers(0, 4, (channels, height, width))
    pixels = (16 * levels).astype(np.float32)
    assert np.array_equal(graph_regions(pixels, scale, smallest), textbook(pixels, scale, smallest))


@pytest.mark.parametrize("scale", [20.0, 200.0, 1000.0])
def test_regions_are_scikit_images(scale):
    image = np.random.default_rng(3).random((40, 50, 3))
    pixels = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) * 255
    ours = graph_regions(gaussian_smoothed(pixels, 0.8), scale, 10)
    theirs = felzenszwalb(image, scale=scale, sigma=0.8, min_size=10)
    pairs = {(int(a), int(b)) for a, b in zip(ours.flat, theirs.flat, strict=True)}
    assert len(pairs) == ours.max() + 1 == theirs.max() + 1


def test_a_constant_image_is_one_region():
    assert not graph_regions(np.full((2, 30, 40), 7, np.float32), 1e-3, 1).any()


def test_a_negative_scale_is_refused():
    with pytest.raises(ValueError, match="scale is -1"):
        graph_regions(np.zeros((1, 2, 2), np.float32), -1.0, 1)
