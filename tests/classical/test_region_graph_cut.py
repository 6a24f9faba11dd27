import networkx as nx
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import graph as scikit_images
from skimage.segmentation import slic
from tests.classical.test_normalized_cut import four_colors
from tests.ops.test_affinity import dense, drawn

from segscape.classical.region_graph_cut import (
    cut_region_graph,
    cut_superpixels,
    partition_ncut,
)
from segscape.classical.spectral_clustering import ncut_value
from segscape.ops.affinity import pixel_affinity
from segscape.structures import MethodError, Partition


@given(seed=st.integers(0, 99), count=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_ncut_is_that_of_the_matrix(seed, count):
    affinity = drawn(6, 7, 2.0, seed)
    regions = torch.from_numpy(np.random.default_rng(seed).integers(0, count, (6, 7)))
    partition = Partition.from_ids(regions)
    expected = ncut_value(dense(affinity), partition.regions.numpy().ravel())
    assert partition_ncut(affinity, partition) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("cut", ["simultaneous", "recursive"])
def test_a_planted_cut_of_superpixels_is_found(cut):
    # 6 x 8 pixels joined to their 4 neighbours, a wall between two halves.
    features = np.zeros((1, 6, 8), np.float32)
    features[:, :, 4:] = 2
    affinity = pixel_affinity(features, np.zeros((6, 8), np.float32), radius_px=1.0)
    superpixels = Partition(
        torch.arange(12).view(3, 4).repeat_interleave(2, 0).repeat_interleave(2, 1)
    )
    found = cut_superpixels(superpixels, affinity, regions=2, cut=cut)
    halves = torch.arange(8).ge(4).long().expand(6, -1)
    assert torch.equal(found.regions, halves) or torch.equal(found.regions, 1 - halves)
    # Each half: 24 own weights and 38 edges from both ends; 6 edges of exp(-4) across.
    cut_weight = 6 * np.exp(-4.0)
    value = 2 * cut_weight / (cut_weight + 24 + 2 * 38)
    assert partition_ncut(affinity, found) == pytest.approx(value, rel=1e-5)


def test_two_way_cut_is_the_best_threshold_of_the_second_generalised_eigenvector():
    affinity = drawn(6, 6, 2.0)
    matrix = dense(affinity)
    degrees = np.diag(matrix.sum(1))
    u = scipy.linalg.eigh(degrees - matrix, degrees)[1][:, 1]
    best = min(ncut_value(matrix, (u > t).astype(int)) for t in np.sort(u)[:-1])
    pixels = Partition(torch.arange(36).view(6, 6))
    found = cut_superpixels(pixels, affinity, regions=2, cut="recursive")
    assert partition_ncut(affinity, found) == pytest.approx(best, rel=1e-4)


def test_ncut_of_a_region_graph_is_no_higher_than_scikit_images():
    image = four_colors(60, 80)
    image[:, 10:20, 10:30] += 30
    pixels = image.permute(1, 2, 0).numpy()
    labels = slic(pixels, n_segments=60, start_label=0)
    rag = scikit_images.rag_mean_color(pixels, labels, mode="similarity", sigma=60)
    # scikit-image joins each region to itself by the largest weight.
    for node in rag.nodes():
        rag.add_edge(node, node, weight=1.0)
    triples = [(a, b, weight) for a, b, weight in rag.edges.data("weight")]
    edges = np.array([t[:2] for t in triples])
    weights = np.array([t[2] for t in triples])
    matrix = nx.to_numpy_array(rag, nodelist=range(len(rag)))
    theirs = scikit_images.cut_normalized(labels, rag.copy(), rng=0)
    count = len(np.unique(theirs))
    assert count > 1
    names = np.array([theirs[labels == node][0] for node in range(len(rag))])
    superpixels = Partition(torch.from_numpy(labels))
    for cut in ("simultaneous", "recursive"):
        ours = cut_region_graph(superpixels, edges, weights, regions=count, cut=cut)
        groups = np.array([int(ours.regions[labels == node][0]) for node in range(len(rag))])
        assert len(np.unique(groups)) == count
        assert ncut_value(matrix, groups) <= ncut_value(matrix, names) + 1e-9


def test_parts_that_no_edge_joins_stay_apart():
    row = Partition(torch.tensor([[0, 1, 2, 3]]))
    edges, weights = np.array([[0, 1], [2, 3]]), np.ones(2)
    for cut in ("simultaneous", "recursive"):
        found = cut_region_graph(row, edges, weights, regions=2, cut=cut)
        assert found.regions.tolist() in ([[0, 0, 1, 1]], [[1, 1, 0, 0]])
    alone = cut_region_graph(row, np.zeros((0, 2), np.int64), np.zeros(0), regions=2)
    assert alone.count == 4


@pytest.mark.parametrize(
    ("edges", "weights", "said"),
    [
        ([[0, 4]], [1.0], "edges between"),
        ([[0, 1]], [-1.0], "negative"),
        ([[0, 1]], [np.nan], "finite"),
    ],
)
def test_bad_region_graphs_are_refused(edges, weights, said):
    with pytest.raises(MethodError, match=said):
        cut_region_graph(
            Partition(torch.tensor([[0, 1]])), np.array(edges), np.array(weights), regions=1
        )


def test_superpixels_of_another_size_are_refused():
    with pytest.raises(MethodError, match="of one image"):
        cut_superpixels(
            Partition(torch.zeros(2, 2, dtype=torch.int64)), drawn(3, 3, 1.0), regions=1
        )
