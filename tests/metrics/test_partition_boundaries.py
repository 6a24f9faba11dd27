"""Boundary precision, recall and F: the protocol by hand and by brute force."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from skimage.morphology import thin

from segscape.metrics.partition_boundaries import (
    BoundaryAgreement,
    boundary_counts,
    boundary_of,
    boundary_scores,
)
from segscape.structures import Partition, StructureError


def _blobs(seed: int, side: int = 14, regions: int = 5) -> Partition:
    """Regions of the nearest of some random points."""
    random = np.random.default_rng(seed)
    points = random.random((regions, 2)) * side
    grid = np.moveaxis(np.indices((side, side)), 0, -1)
    nearest = ((grid[:, :, None] - points) ** 2).sum(-1).argmin(-1)
    return Partition.from_ids(torch.from_numpy(nearest))


def _matched(ours: np.ndarray, theirs: np.ndarray, radius: float) -> tuple[np.ndarray, int]:
    """By the dense assignment problem: which of ours are matched, and how many are."""
    a, b = np.argwhere(ours), np.argwhere(theirs)
    distance = np.sqrt(((a[:, None] - b) ** 2).sum(-1))
    alone = 100 * radius
    cost = np.zeros((len(a) + len(b),) * 2)
    cost[: len(a), : len(b)] = np.where(distance <= radius, distance, 1e6)
    cost[: len(a), len(b) :] = cost[len(a) :, : len(b)] = alone
    rows, columns = linear_sum_assignment(cost)
    pairs = (rows < len(a)) & (columns < len(b))
    right = np.zeros(ours.shape, bool)
    right[tuple(a[rows[pairs]].T)] = True
    return right, int(pairs.sum())


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_the_dense_assignment(seed: int) -> None:
    ours = boundary_of(_blobs(seed, regions=8))
    drawn = [boundary_of(_blobs(seed + 50 + k)) for k in range(3)]
    tolerance = 0.1
    counts = boundary_counts(ours, drawn, tolerance=tolerance)
    theirs = [_matched(ours, each, tolerance * math.hypot(*ours.shape)) for each in drawn]
    assert counts[1] == ours.sum()
    assert counts[2] == sum(number for _, number in theirs)
    assert counts[3] == sum(each.sum() for each in drawn)
    # Optima of equal cost may match other pixels, so that their union is fixed only nearly.
    assert abs(counts[0] - np.any([right for right, _ in theirs], axis=0).sum()) <= 2


def test_boundaries_are_thin_and_lie_before_the_crack() -> None:
    partition = _blobs(3, side=40, regions=12)
    ids = partition.regions.numpy()
    corners = np.zeros(ids.shape, bool)
    for i in range(40):
        for j in range(40):
            block = ids[i : i + 2, j : j + 2]
            corners[i, j] = (block != block[0, 0]).any()
    assert (boundary_of(partition) == thin(corners)).all()
    assert not boundary_of(Partition(torch.zeros(5, 7, dtype=torch.int64))).any()


def test_a_pixel_is_right_by_any_annotator_but_found_by_each() -> None:
    ours = np.zeros((1, 9), bool)
    left, right = ours.copy(), ours.copy()
    ours[0, [1, 7]] = left[0, 1] = right[0, 7] = True
    assert boundary_counts(ours, [left, right], tolerance=0.0).tolist() == [2, 2, 2, 2]
    assert boundary_counts(ours, [left, left], tolerance=0.0).tolist() == [1, 2, 2, 2]


def test_a_pixel_matches_one_only_within_the_tolerance() -> None:
    ours, theirs = np.zeros((2, 10, 30), bool)
    ours[:, [10, 11]] = theirs[:, 12] = True  # two lines where one was drawn
    diagonal = math.hypot(10, 30)
    assert boundary_counts(ours, [theirs], tolerance=2.01 / diagonal).tolist() == [10, 20, 10, 10]
    assert boundary_counts(ours, [theirs], tolerance=0.99 / diagonal).tolist() == [0, 20, 0, 10]


def test_counts_are_pooled_over_images() -> None:
    metric = BoundaryAgreement()
    one = Partition(torch.tensor([[0, 1]] * 8))
    none = Partition(torch.tensor([[0, 0]] * 2))
    metric.update(one, [one], "found")
    metric.update(none, [Partition(torch.tensor([[0, 1]] * 2))], "missed")
    scores = metric.compute()
    assert (scores.precision, scores.recall) == (1.0, 0.8)
    other = BoundaryAgreement()
    other.merge(metric)
    assert other.keys == ("found", "missed")
    assert other.compute() == scores


def test_without_boundaries_nothing_is_divided_by_zero() -> None:
    assert boundary_scores(np.array([0, 0, 0, 0])).f == 1
    assert boundary_scores(np.array([0, 0, 0, 5])).f == 0
    assert boundary_scores(np.array([0, 5, 0, 0])).f == 0


def test_wrong_input_is_refused_in_one_line() -> None:
    with pytest.raises(StructureError, match="is negative"):
        BoundaryAgreement(tolerance=-1.0)
    with pytest.raises(StructureError, match="cannot be merged"):
        BoundaryAgreement().merge(BoundaryAgreement(tolerance=0.1))
