import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from tests.support.disturbed_labels import TAXONOMY, image

from segscape.metrics.confusion import ConfusionMatrix
from segscape.metrics.region_sizes import RegionSizes
from segscape.structures import StructureError


def regions(mask):
    ids, number = ndimage.label(mask, np.ones((3, 3)))
    return [ids == i for i in range(1, number + 1)]


def one_by_one(called, truth, category, bounds):
    """Hits, true and called pixels of each size, region by region."""
    size = lambda region: int(np.digitize(region.sum(), bounds))  # noqa: E731
    counts = np.zeros((len(bounds) + 1, 3), int)
    judged = truth != 255
    true = truth == category
    ours = regions(true)
    for region in ours:
        counts[size(region)] += (region & (called == category)).sum(), region.sum(), 0
        counts[size(region), 2] += (region & (called == category)).sum()
    for region in regions((called == category) & judged):
        best = max(ours, key=lambda r: ((r & region).sum(), r.sum()), default=None)
        owner = region if best is None or not (best & region).any() else best
        counts[size(owner), 2] += (region & ~true).sum()
    return counts


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_definition_region_by_region(seed):
    called, truth = image(seed, size=(30, 34), grain=4)
    metric = RegionSizes(TAXONOMY, bounds=[8, 40])
    metric.update(called, truth, "a")
    rows = metric.compute()
    for c in range(3):
        expected = one_by_one(called.numpy(), truth.numpy(), c, [8, 40])
        for row, (hits, true, called_pixels) in zip(rows, expected, strict=True):
            union = true + called_pixels - hits
            assert row.class_iou[c] == pytest.approx(
                hits / union if union else math.nan, nan_ok=True
            )
            assert row.class_recall[c] == pytest.approx(
                hits / true if true else math.nan, nan_ok=True
            )
    assert sum(row.regions for row in rows) == sum(
        len(regions((truth == c).numpy())) for c in range(3)
    )


def test_one_size_for_all_is_the_usual_iou():
    called, truth = image(1)
    metric, usual = RegionSizes(TAXONOMY, bounds=[]), ConfusionMatrix(TAXONOMY)
    for judge in (metric, usual):
        judge.update(called, truth, "a")
    (row,) = metric.compute()
    assert row.miou == pytest.approx(usual.compute().miou)
    assert row.mean_recall == pytest.approx(usual.compute().mean_recall)


def test_sizes_by_hand():
    truth = torch.zeros(6, 12, dtype=torch.int64)
    truth[1:5, 1:5], truth[2, 8] = 1, 1  # sixteen pixels, and one
    called = truth.clone()
    called[1, 1:3], called[2, 9], called[5, 11] = 0, 1, 1
    metric = RegionSizes(TAXONOMY, bounds=[4])
    metric.update(called, truth, "a")
    small, large = metric.compute()
    assert small.class_regions[1] == large.class_regions[1] == 1
    assert large.class_iou[1] == 14 / 16
    # One true pixel found, one false beside it, and one false region of its own of that size.
    assert small.class_iou[1] == pytest.approx(1 / 3)
    assert small.class_recall[1] == 1


def test_sharing_changes_nothing_and_options_must_agree():
    whole, part, rest = (RegionSizes(TAXONOMY, bounds=[9]) for _ in range(3))
    for seed in range(3):
        whole.update(*image(seed), str(seed))
        (part if seed == 1 else rest).update(*image(seed), str(seed))
    part.merge(rest)
    assert repr(part.compute()) == repr(whole.compute())
    with pytest.raises(StructureError, match="other options cannot be merged"):
        whole.merge(RegionSizes(TAXONOMY))
    for bounds in ([0, 4], [5, 5], [7, 3]):
        with pytest.raises(StructureError, match="must ascend from 1 or more"):
            RegionSizes(TAXONOMY, bounds=bounds)
