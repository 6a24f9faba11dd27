import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs, make_circles

from segscape.classical.k_means import (
    judge_cluster_counts,
    k_means,
    k_means_features,
    k_means_points,
)
from segscape.structures import MethodError


def three_stripes(channels=3, noise=4.0):
    generator = torch.Generator().manual_seed(0)
    image = torch.full((channels, 12, 30), 40.0)
    image[:, :, 10:] = 120
    image[:, :, 20:] = 210
    return (image + noise * torch.randn(image.shape, generator=generator)).to(torch.uint8)


def brute_inertia(rows, labels):
    return sum(
        float((rows[labels == one] - rows[labels == one].mean(0)).square().sum())
        for one in labels.unique()
    )


@pytest.mark.parametrize("channels", [1, 2, 3, 200])
@pytest.mark.parametrize("color_space", ["luv", "lab", "rgb"])
def test_stripes_are_clusters(channels, color_space):
    found = k_means(three_stripes(channels), clusters=3, color_space=color_space)
    regions = found.partition.regions
    assert found.partition.count == 3
    assert all(regions[:, left : left + 10].unique().numel() == 1 for left in (0, 10, 20))
    assert found.centers.shape == (3, channels)


def test_inertia_is_the_sum_of_squared_distances():
    features = torch.randn(5, 9, 11, generator=torch.Generator().manual_seed(0))
    found = k_means_features(features, clusters=4)
    rows = features.flatten(1).T
    assert found.inertia == pytest.approx(brute_inertia(rows, found.partition.regions.flatten()))
    nearest = torch.cdist(rows, found.centers).argmin(1)
    assert torch.equal(nearest, found.partition.regions.flatten())


def test_place_counts_as_much_as_asked():
    flat = torch.full((3, 4, 40), 128, dtype=torch.uint8)
    found = k_means(flat, clusters=2, position_weight=1.0)
    # Rows and columns are 100 / 40 apart: the middles of columns 0..19 and 20..39.
    assert found.centers[:, 4].sort().values.tolist() == pytest.approx([23.75, 73.75], abs=2.5)
    assert found.partition.regions.unique(dim=0).shape[0] <= 2
    colors_only = k_means(three_stripes(), clusters=3, position_weight=1e-3)
    assert torch.equal(
        colors_only.partition.regions, k_means(three_stripes(), clusters=3).partition.regions
    )


def test_batches_come_near_to_all_pixels():
    image = three_stripes()
    all_at_once = k_means(image, clusters=3)
    batches = k_means(image, clusters=3, mini_batch_from_pixels=1)
    assert batches.inertia < 1.1 * all_at_once.inertia
    assert batches.partition.count == 3


def test_more_restarts_are_no_worse():
    features = torch.rand(2, 20, 20, generator=torch.Generator().manual_seed(3))
    few = k_means_features(features, clusters=12, restarts=1)
    many = k_means_features(features, clusters=12, restarts=10)
    assert many.inertia <= few.inertia


def test_the_same_seed_gives_the_same_result():
    features = torch.rand(2, 20, 20, generator=torch.Generator().manual_seed(3))
    first, again = (k_means_features(features, clusters=9, seed=5) for _ in range(2))
    assert torch.equal(first.partition.regions, again.partition.regions)


@pytest.mark.parametrize("shape", [(3, 1, 9), (3, 9, 1), (1, 4, 4)])
def test_a_constant_image_has_one_cluster_and_no_two(shape):
    image = torch.full(shape, 7, dtype=torch.uint8)
    assert k_means(image, clusters=1).partition.count == 1
    with pytest.raises(MethodError, match="only 1 distinct pixels: ask for 1 or fewer"):
        k_means(image, clusters=2)


def test_more_clusters_than_colors_are_refused_with_their_number():
    image = torch.arange(4, dtype=torch.uint8).repeat_interleave(50).view(1, 2, 100)
    assert k_means(image, clusters=4).partition.count == 4
    with pytest.raises(MethodError, match="clusters=5, but there are only 4 distinct pixels"):
        k_means(image, clusters=5)
    with pytest.raises(MethodError, match="only 4 distinct feature vectors"):
        k_means_features(image.float(), clusters=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 0}, "clusters=0, expected 1 or more"),
        ({"restarts": 0}, "restarts=0, expected 1 or more"),
        ({"position_weight": -1.0}, "position_weight=-1.0, expected 0 or more"),
        ({"position_weight": float("nan")}, "position_weight=nan"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(MethodError, match=message):
        k_means(three_stripes(), **options)


def test_nan_is_refused():
    features = torch.zeros(2, 3, 3)
    features[0, 0, 0] = float("nan")
    with pytest.raises(MethodError, match="1 values that are nan or infinite"):
        k_means_features(features, clusters=1)
    with pytest.raises(MethodError, match="nan or infinite"):
        k_means_points(features[0], clusters=1)


def test_a_map_beyond_the_memory_is_refused():
    with pytest.raises(MethodError, match=r"k-means would need about .* GB"):
        k_means_features(torch.zeros(1, 1, 1).expand(64, 3_000_000, 100_000))


def test_blobs_are_found_and_rings_are_not():
    blobs, truth = make_blobs(150, centers=3, cluster_std=0.3, random_state=0)[:2]
    found = k_means_points(torch.from_numpy(blobs), clusters=3).labels.numpy()
    assert len(set(zip(found, truth, strict=True))) == 3
    rings, ring = make_circles(200, factor=0.4, noise=0.03, random_state=0)
    cut = k_means_points(torch.from_numpy(rings), clusters=2).labels.numpy()
    assert 0.4 < (cut == ring).mean() < 0.6


def test_the_elbow_and_the_silhouette_point_at_the_true_number():
    blobs = make_blobs(300, centers=4, cluster_std=0.4, random_state=1)[0]
    judged = judge_cluster_counts(torch.from_numpy(blobs), counts=(2, 3, 4, 5, 6), judged_points=80)
    assert max(judged, key=lambda one: one.silhouette).clusters == 4
    gains = -np.diff([one.inertia for one in judged])
    assert (gains > 0).all()
    assert gains[1] > 20 * gains[2]


@pytest.mark.parametrize(
    "options", [{"counts": ()}, {"counts": (1, 2)}, {"judged_points": 1}, {"counts": (2, 99)}]
)
def test_counts_that_cannot_be_judged_are_refused(options):
    with pytest.raises(MethodError):
        judge_cluster_counts(torch.rand(20, 2), **options)
