import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops

from segscape.ops.region_graph import region_features, region_graph


def scene(height: int, width: int, channels: int, most: int, seed: int):
    generator = np.random.default_rng(seed)
    ids = generator.integers(0, most, (height, width))
    regions = np.unique(ids, return_inverse=True)[1].reshape(height, width).astype(np.int32)
    return regions, generator.random((channels, height, width)).astype(np.float32)


sizes = st.tuples(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 12), st.integers(0, 999)
)


@settings(max_examples=50, deadline=None)
@given(sizes)
def test_the_graph_is_that_of_every_pair_of_neighbours(size):
    regions, pixels = scene(*size)
    found: dict[tuple[int, int], list[float]] = {}
    for y, x in itertools.product(range(regions.shape[0]), range(regions.shape[1])):
        for to_y, to_x in ((y, x + 1), (y + 1, x)):
            if to_y < regions.shape[0] and to_x < regions.shape[1]:
                pair = sorted((int(regions[y, x]), int(regions[to_y, to_x])))
                if pair[0] != pair[1]:
                    gap = np.linalg.norm(pixels[:, y, x] - pixels[:, to_y, to_x])
                    found.setdefault((pair[0], pair[1]), []).append(float(gap))
    graph = region_graph(regions, pixels)
    assert [tuple(edge) for edge in graph.edges.tolist()] == sorted(found)
    assert graph.lengths.tolist() == [len(found[edge]) for edge in sorted(found)]
    means = [np.mean(found[edge]) for edge in sorted(found)]
    assert np.allclose(graph.contrasts, means, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(sizes)
def test_features_are_scikit_images(size):
    regions, pixels = scene(*size)
    ours = region_features(regions, pixels)
    for k, theirs in enumerate(regionprops(regions + 1, pixels.transpose(1, 2, 0))):
        inside = pixels[:, regions == k].astype(np.float64)
        assert ours.areas[k] == theirs.area
        assert np.allclose(ours.centroids[k], theirs.centroid)
        assert np.allclose(ours.colors[k], theirs.intensity_mean)
        assert np.allclose(ours.variances[k], inside.var(1))
        top, left, bottom, right = theirs.bbox
        assert ours.boxes[k].tolist() == [left, top, right, bottom]
        mask = np.pad(regions == k, 1).astype(int)
        assert ours.perimeters[k] == abs(np.diff(mask)).sum() + abs(np.diff(mask, axis=0)).sum()
    lengths = np.zeros(len(ours.areas), int)
    graph = region_graph(regions, pixels)
    np.add.at(lengths, graph.edges, graph.lengths[:, None])
    assert np.array_equal(lengths, ours.perimeters - ours.rims)


def test_one_region_has_no_edges():
    graph = region_graph(np.zeros((3, 4), np.int32), np.zeros((1, 3, 4), np.float32))
    assert graph.edges.shape == (0, 2)
    assert graph.lengths.size == graph.contrasts.size == 0


def test_what_does_not_fit_is_refused():
    pixels = np.zeros((1, 2, 2), np.float32)
    with pytest.raises(ValueError, match="the id -1"):
        region_graph(np.array([[0, 0], [-1, 0]], np.int32), pixels)
    with pytest.raises(ValueError, match=r"1 of the ids 0\.\.2"):
        region_features(np.array([[0, 0], [2, 0]], np.int32), pixels)
    with pytest.raises(ValueError, match="2 x 3 pixels came with an image of 2 x 2"):
        region_features(np.zeros((2, 3), np.int32), pixels)
