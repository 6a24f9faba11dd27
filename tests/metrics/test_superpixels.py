"""Scores of superpixels against brute force and by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import perimeter_crofton

from segscape.metrics.superpixels import (
    SuperpixelQuality,
    achievable_segmentation_accuracy,
    boundary_recall,
    compactness,
    explained_variation,
    undersegmentation_error,
    undersegmentation_error_levin,
)
from segscape.structures import Partition, StructureError


def _random(seed: int, height: int, width: int, regions: int) -> Partition:
    generator = torch.Generator().manual_seed(seed)
    return Partition.from_ids(torch.randint(regions, (height, width), generator=generator))


def _masks(partition: Partition) -> list[np.ndarray]:
    return [(partition.regions == k).numpy() for k in range(partition.count)]


def _edges(partition: Partition) -> np.ndarray:
    ids = partition.regions.numpy()
    height, width = ids.shape
    edges = np.zeros(ids.shape, bool)
    for i in range(height):
        for j in range(width):
            for y, x in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                if 0 <= y < height and 0 <= x < width and ids[y, x] != ids[i, j]:
                    edges[i, j] = True
    return edges


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 7), st.integers(1, 7), st.integers(1, 9))
def test_scores_are_those_of_brute_force(seed: int, height: int, width: int, regions: int) -> None:
    ours, truth = _random(seed, height, width, regions), _random(seed + 1, height, width, 3)
    leaks = levin = hits = 0.0
    for region in _masks(truth):
        met = [mine for mine in _masks(ours) if (mine & region).any()]
        leaks += sum(min((m & region).sum(), (m & ~region).sum()) for m in met)
        levin += (sum(m.sum() for m in met) - region.sum()) / region.sum()
    for mine in _masks(ours):
        hits += max((mine & region).sum() for region in _masks(truth))
    pixels = height * width
    assert undersegmentation_error(ours, truth) == pytest.approx(leaks / pixels)
    assert undersegmentation_error_levin(ours, truth) == pytest.approx(levin / truth.count)
    assert achievable_segmentation_accuracy(ours, truth) == pytest.approx(hits / pixels)


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_boundary_recall_looks_in_a_square(radius: int) -> None:
    ours = Partition.from_ids(torch.arange(144).reshape(12, 12) // 50)
    truth = Partition.from_ids(torch.arange(144).reshape(12, 12) % 12 // 5)
    mine, true = _edges(ours), _edges(truth)
    hits = [
        mine[max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1].any()
        for i, j in np.argwhere(true)
    ]
    reach = radius / math.hypot(12, 12)
    assert boundary_recall(ours, truth, reach=reach) == pytest.approx(np.mean(hits))
    assert boundary_recall(ours, Partition(torch.zeros_like(ours.regions))) == 1


def test_the_right_undersegmentation_error_does_not_punish_a_superpixel_for_one_pixel() -> None:
    # A superpixel of 100 pixels leaks by one: 1 in and out, where the older error counts all.
    ours = Partition(torch.zeros(10, 10, dtype=torch.int64))
    truth = torch.zeros(10, 10, dtype=torch.int64)
    truth[0, 0] = 1
    assert undersegmentation_error(ours, Partition(truth)) == pytest.approx(2 / 100)
    assert undersegmentation_error_levin(ours, Partition(truth)) == pytest.approx((1 / 99 + 99) / 2)


def test_squares_have_the_compactness_pi_over_four_and_lines_less() -> None:
    squares = torch.arange(16).reshape(4, 4).repeat_interleave(5, 0).repeat_interleave(5, 1)
    assert compactness(Partition(squares)) == pytest.approx(math.pi / 4)
    line = torch.zeros(1, 50, dtype=torch.int64)
    assert compactness(Partition(line)) == pytest.approx(4 * math.pi * 50 / 102**2)
    # A disc's cracks are 4 / pi of its circumference, which scikit-image estimates.
    y, x = np.mgrid[-60:61, -60:61]
    disc = (y**2 + x**2 <= 50**2).astype(np.int64)
    quotient = 4 * math.pi * disc.sum() / perimeter_crofton(disc, 4) ** 2
    partition = Partition(torch.from_numpy(disc))
    rim = (1 - disc).sum() * 4 * math.pi * (1 - disc).sum() / (4 * 121 + 4 * 101) ** 2
    expected = (disc.sum() * quotient * (math.pi / 4) ** 2 + rim) / disc.size
    assert compactness(partition) == pytest.approx(expected, rel=0.02)


def test_explained_variation_is_the_share_between_regions() -> None:
    random = np.random.default_rng(0)
    image = torch.from_numpy(random.random((3, 9, 11)))
    partition = _random(4, 9, 11, 6)
    flat, ids = image.reshape(3, -1).T.numpy(), partition.regions.flatten().numpy()
    mean = flat.mean(0)
    between = sum((ids == k).sum() * ((flat[ids == k].mean(0) - mean) ** 2).sum() for k in range(6))
    assert explained_variation(partition, image) == pytest.approx(
        between / ((flat - mean) ** 2).sum()
    )
    pixels = Partition(torch.arange(99).reshape(9, 11))
    assert explained_variation(pixels, image) == pytest.approx(1)
    assert explained_variation(partition, torch.full((3, 9, 11), 7.0)) == 1


def test_the_worst_annotator_counts_unless_the_mean_is_asked_for() -> None:
    metric = SuperpixelQuality()
    ours = Partition(torch.tensor([[0, 0, 1, 1]]))
    image = torch.zeros(3, 1, 4)
    metric.update(ours, [ours, Partition(torch.tensor([[0, 0, 0, 1]]))], image, "a")
    worst, mean = metric.compute(), metric.compute(annotators="mean")
    assert worst.achievable_segmentation_accuracy == pytest.approx(0.75)
    assert mean.achievable_segmentation_accuracy == pytest.approx(0.875)
    assert worst.undersegmentation_error == pytest.approx(0.5)
    assert mean.undersegmentation_error == pytest.approx(0.25)
    assert worst.boundary_recall == pytest.approx(0.5)
    assert (worst.count, worst.compactness) == (2, mean.compactness)


def test_merging_and_refusals() -> None:
    one, other = SuperpixelQuality(), SuperpixelQuality()
    ours, image = Partition(torch.tensor([[0, 0, 1, 1]])), torch.zeros(3, 1, 4)
    one.update(ours, [ours], image, "a")
    other.update(ours, [ours], image, "b")
    one.merge(other)
    assert one.keys == ("a", "b")
    with pytest.raises(StructureError, match="counted before with another result"):
        one.update(Partition(torch.tensor([[0, 1, 2, 3]])), [ours], image, "a")
    with pytest.raises(StructureError, match="give them one size"):
        one.update(ours, [ours], torch.zeros(3, 2, 4), "c")
    with pytest.raises(StructureError, match="call update first"):
        SuperpixelQuality().compute()
    with pytest.raises(StructureError, match="is negative"):
        SuperpixelQuality(reach=-1.0)
    with pytest.raises(StructureError, match="cannot be merged"):
        one.merge(SuperpixelQuality(reach=0.1))
