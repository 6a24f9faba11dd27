"""Covering, Rand index and variation of information against brute force and by hand."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import adapted_rand_error, variation_of_information

from segscape.metrics.partition_regions import RegionAgreement, overlaps
from segscape.structures import Partition, StructureError


def _partition(rows: object) -> Partition:
    return Partition.from_ids(torch.tensor(rows))


def _random(seed: int, height: int, width: int, regions: int) -> Partition:
    generator = torch.Generator().manual_seed(seed)
    return Partition.from_ids(torch.randint(regions, (height, width), generator=generator))


def _masks(partition: Partition) -> list[np.ndarray]:
    return [(partition.regions == k).numpy() for k in range(partition.count)]


def _covering(ours: Partition, truths: list[Partition]) -> tuple[float, int]:
    """Of the benchmark's definition, region by region: the weighted sum and the weight."""
    total, weight = 0.0, 0
    for truth in truths:
        for region in _masks(truth):
            best = max((region & mine).sum() / (region | mine).sum() for mine in _masks(ours))
            total += region.sum() * best
            weight += int(region.sum())
    return total, weight


def _rand_index(ours: Partition, truth: Partition) -> float:
    a, b = ours.regions.flatten().tolist(), truth.regions.flatten().tolist()
    agree = [(a[i] == a[j]) == (b[i] == b[j]) for i, j in combinations(range(len(a)), 2)]
    return sum(agree) / len(agree) if agree else 1.0


def _information(ours: Partition, truth: Partition) -> float:
    total = 0.0
    for mine in _masks(ours):
        for true in _masks(truth):
            p, q, r = mine.mean(), true.mean(), (mine & true).mean()
            if r > 0:
                total -= r * (math.log2(r / p) + math.log2(r / q))
    return total


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 7), st.integers(1, 7), st.integers(1, 9))
def test_scores_are_those_of_brute_force(seed: int, height: int, width: int, regions: int) -> None:
    ours = _random(seed, height, width, regions)
    truths = [_random(seed + k, height, width, 1 + (seed + k) % 5) for k in (1, 2, 3)]
    metric = RegionAgreement()
    metric.update(ours, truths, "a")
    scores = metric.compute()
    total, weight = _covering(ours, truths)
    assert scores.covering == pytest.approx(total / weight)
    assert scores.rand_index == pytest.approx(np.mean([_rand_index(ours, t) for t in truths]))
    assert scores.variation_of_information == pytest.approx(
        np.mean([_information(ours, truth) for truth in truths]), abs=1e-9
    )


def test_scores_are_those_of_scikit_image() -> None:
    ours, truth = _random(1, 60, 50, 7), _random(2, 60, 50, 4)
    metric = RegionAgreement()
    metric.update(ours, [truth], "a")
    theirs = variation_of_information(truth.regions.numpy(), ours.regions.numpy())
    assert metric.compute().variation_of_information == pytest.approx(sum(theirs))
    # Only to be sure that the orientation of a table cannot matter to what is symmetric.
    assert adapted_rand_error(truth.regions.numpy() + 1, truth.regions.numpy() + 1)[0] == 0
    other = RegionAgreement()
    other.update(truth, [ours], "a")
    assert other.compute().rand_index == pytest.approx(metric.compute().rand_index)


def test_covering_is_of_the_truth_and_weighs_regions_by_area() -> None:
    # The truth's region of 4 pixels is covered by 1/2, the other by 1: (4 / 2 + 2) / 6.
    metric = RegionAgreement()
    metric.update(_partition([[0, 0, 1, 1, 2, 2]]), [_partition([[0, 0, 0, 0, 1, 1]])], "a")
    assert metric.compute().covering == pytest.approx(4 / 6)
    # The other way round all three regions of 2 pixels are: 1/2, 1/2 and 1.
    metric = RegionAgreement()
    metric.update(_partition([[0, 0, 0, 0, 1, 1]]), [_partition([[0, 0, 1, 1, 2, 2]])], "a")
    assert metric.compute().covering == pytest.approx((1 + 1 + 2) / 6)


def test_covering_pools_images_by_area_and_the_others_average_them() -> None:
    metric = RegionAgreement()
    one = _partition([[0, 0]])
    metric.update(one, [one], "perfect, 2 pixels")
    metric.update(_partition([[0] * 8]), [_partition([[0] * 4 + [1] * 4])], "half, 8 pixels")
    scores = metric.compute()
    assert scores.covering == pytest.approx((2 + 4) / 10)
    assert scores.rand_index == pytest.approx((1 + 12 / 28) / 2)
    assert scores.variation_of_information == pytest.approx((0 + 1) / 2)


def test_the_same_partition_is_perfect_and_one_pixel_has_no_pairs() -> None:
    for partition in (_random(3, 9, 8, 5), _partition([[0]])):
        metric = RegionAgreement()
        metric.update(partition, [partition] * 2, "a")
        scores = metric.compute()
        assert (scores.covering, scores.rand_index) == (1, 1)
        assert scores.variation_of_information == pytest.approx(0, abs=1e-9)


def test_many_regions_on_both_sides_give_the_same_table() -> None:
    ours = Partition(torch.arange(3600).reshape(60, 60))
    table = overlaps(ours, Partition(torch.arange(3600).reshape(60, 60).flip(0)))
    assert len(table) == 3600
    assert (table[:, 2] == 1).all()


def test_merging_depends_on_no_order() -> None:
    images = {f"{k}": (_random(k, 8, 8, 4), [_random(k + 50, 8, 8, 3)]) for k in range(4)}
    whole, parts = RegionAgreement(), [RegionAgreement(), RegionAgreement()]
    for k, (key, (ours, truths)) in enumerate(images.items()):
        whole.update(ours, truths, key)
        parts[k % 2].update(ours, truths, key)
    parts[1].update(*images["0"], "0")  # met twice, counted once
    parts[1].merge(parts[0])
    assert parts[1].compute() == whole.compute()


def test_wrong_input_is_refused_in_one_line() -> None:
    metric = RegionAgreement()
    with pytest.raises(StructureError, match="got no truth"):
        metric.update(_partition([[0, 1]]), [], "a")
    with pytest.raises(StructureError, match="1 x 2 pixels, a truth 1 x 3: resize"):
        metric.update(_partition([[0, 1]]), [_partition([[0, 1, 1]])], "a")
    with pytest.raises(StructureError, match="call update first"):
        metric.compute()
