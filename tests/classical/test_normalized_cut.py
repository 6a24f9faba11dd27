from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import graph as scikit_images
from skimage.segmentation import slic
from tests.ops.test_affinity import dense, drawn

from segscape.classical.normalized_cut import (
    PixelGraph,
    cut_region_graph,
    cut_superpixels,
    image_spectrum,
    normalized_cut,
    partition_ncut,
)
from segscape.classical.spectral_clustering import ncut_value
from segscape.ops.affinity import pixel_affinity
from segscape.structures import MethodError, Partition

WAYS = (
    {},
    {"cut": "recursive"},
    {"assignment": "k-means"},
    {"assignment": "discretization"},
    {"assignment": "cluster-qr"},
)


def four_colors(height: int = 40, width: int = 60) -> torch.Tensor:
    """Four quarters of different colours with a little noise."""
    image = torch.empty(3, height, width)
    colors = torch.tensor([[0.8, 0.2, 0.2], [0.2, 0.7, 0.2], [0.2, 0.2, 0.8], [0.8, 0.8, 0.2]])
    for i, color in enumerate(colors):
        rows = slice(0, height // 2) if i < 2 else slice(height // 2, None)
        columns = slice(0, width // 2) if i % 2 == 0 else slice(width // 2, None)
        image[:, rows, columns] = color[:, None, None]
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return ((image + 0.02 * noise).clamp(0, 1) * 255).to(torch.uint8)


def agreement(found: Partition, height: int = 40, width: int = 60) -> float:
    """The share of pixels in the quarter that holds most of their region."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    truth = (rows >= height // 2) * 2 + (columns >= width // 2) * 1
    best = sum(
        int(torch.bincount(truth[found.regions == region], minlength=4).max())
        for region in range(found.count)
    )
    return best / truth.numel()


@pytest.mark.parametrize("way", WAYS)
def test_four_colors_are_four_regions(way):
    found = normalized_cut(four_colors(), regions=4, **way)
    assert found.count == 4
    assert agreement(found) > 0.94


@pytest.mark.parametrize(
    "graph",
    [
        {"brightness_bandwidth": 5.0, "color_bandwidth": 5.0},
        {"texture_bandwidth": 0.02, "color_bandwidth": 5.0, "spatial_bandwidth_px": 4.0},
    ],
)
def test_brightness_color_and_texture_do_without_contours(graph):
    found = normalized_cut(
        four_colors(), regions=4, assignment="cluster-qr", contour_bandwidth=None, **graph
    )
    assert agreement(found) > 0.97


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(3, 12, 15, dtype=torch.uint8),
        torch.rand(1, 1, 40, generator=torch.Generator().manual_seed(0)),
        torch.rand(2, 30, 1, generator=torch.Generator().manual_seed(0)),
        four_colors(20, 20).to(torch.int32) * 257,
        four_colors(20, 20).float().repeat(67, 1, 1)[:200],
        torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(0)),
    ],
    ids=["constant", "row", "column", "sixteen bits", "200 channels", "2 x 2"],
)
def test_odd_images_have_an_answer(image, way):
    regions = min(7, image[0].numel())
    found = normalized_cut(image, regions=regions, **way)
    assert found.size == image.shape[1:]
    assert 1 <= found.count <= regions
    if way.get("assignment") != "discretization":
        assert found.count == regions


def test_regions_from_one_to_every_pixel():
    image = four_colors(10, 10)
    assert normalized_cut(image, regions=1).count == 1
    assert normalized_cut(image, regions=100).count == 100


def test_the_same_seed_gives_the_same_regions():
    image = four_colors(20, 30)
    one, other = (normalized_cut(image, regions=6, seed=3) for _ in range(2))
    assert torch.equal(one.regions, other.regions)


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


def test_the_spectrum_of_an_image_for_pictures():
    found = image_spectrum(four_colors(), eigenvectors=4, graph=PixelGraph(radius_px=3.0))
    assert found.vectors.shape == (4, 40, 60)
    assert found.residuals.max() <= 2e-3
    quarters = found.vectors[1:, ::20, ::30]
    assert np.abs(np.diff(quarters.reshape(3, -1))).max() > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"regions": 0}, "regions=0"),
        ({"regions": 101}, "for 100 pixels"),
        ({"radius_px": 0.5}, "radius_px=0.5"),
        ({"radius_px": 21.0}, "radius_px=21.0"),
        ({"contour_bandwidth": 0.0}, "contour_bandwidth=0.0"),
        ({"color_bandwidth": -1.0}, "color_bandwidth=-1.0"),
        ({"eigenvectors": 101}, "eigenvectors=101"),
        ({"tolerance": 0.0}, "tolerance=0.0"),
        ({"superpixels": 1}, "superpixels=1"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    given: dict[str, Any] = {"regions": 2, **options}
    with pytest.raises(MethodError, match=said):
        normalized_cut(four_colors(10, 10), **given)


def test_nan_is_refused():
    with pytest.raises(MethodError, match="nan or infinite"):
        normalized_cut(torch.full((3, 4, 4), float("nan")), regions=2)


def test_an_image_beyond_memory_is_refused():
    with pytest.raises(MethodError, match="GB are free"):
        normalized_cut(torch.zeros(1, 1, 1).expand(1, 20_000, 10_000), regions=2)


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
