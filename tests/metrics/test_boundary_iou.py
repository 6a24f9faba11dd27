import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tests.support.disturbed_labels import TAXONOMY, image

from segscape.metrics.boundary_iou import BoundaryIoU
from segscape.structures import StructureError


def released_bands(mask, ratio):
    """The published procedure: erode the mask, framed by a rim of 0, and take what is lost."""
    width = max(1, round(ratio * math.hypot(*mask.shape)))
    framed = np.pad(mask, 1)
    eroded = ndimage.binary_erosion(framed, np.ones((3, 3), bool), iterations=width)[1:-1, 1:-1]
    return mask & ~eroded


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), ratio=st.sampled_from([0.02, 0.1, 0.2]))
def test_without_void_equals_the_erosion_of_each_mask(seed, ratio):
    called, truth = image(seed, size=(30, 25), grain=9)
    truth[truth == 255] = 0
    metric = BoundaryIoU(TAXONOMY, dilation_ratio=ratio)
    metric.update(called, truth, "a")
    found = metric.compute()
    scores = []
    for c in range(3):
        ours = released_bands((called == c).numpy(), ratio)
        theirs = released_bands((truth == c).numpy(), ratio)
        if (ours | theirs).any():
            scores.append((ours & theirs).sum() / (ours | theirs).sum())
            assert found.per_class[c] == pytest.approx(scores[-1])
        else:
            assert math.isnan(found.per_class[c])
    assert found.score == pytest.approx(np.mean(scores))


def test_void_is_in_no_band_and_makes_none():
    truth = torch.zeros(21, 21, dtype=torch.int64)
    truth[10, 10] = 255
    metric = BoundaryIoU(TAXONOMY, dilation_ratio=0.1)  # 3 pixels
    called = truth.clone()
    called[10, 10] = 1
    metric.update(called, truth, "a")
    found = metric.compute()
    assert found.per_class[0] == 1.0
    assert math.isnan(found.per_class[1])
    # Next to void, another category is still seen across it.
    metric = BoundaryIoU(TAXONOMY, dilation_ratio=0.01)
    line = torch.tensor([[0] * 9] * 9)
    line[:, 4], line[:, 5:] = 255, 1
    metric.update(line, line, "a")
    assert metric.compute().score == 1.0


def test_images_are_added_up_by_category():
    metric = BoundaryIoU(TAXONOMY)
    counts = np.zeros((3, 3))
    for seed in range(3):
        called, truth = image(seed, size=(60, 50), grain=12)
        truth[truth == 255] = 1
        metric.update(called, truth, str(seed))
        for c in range(3):
            ours = released_bands((called == c).numpy(), 0.02)
            theirs = released_bands((truth == c).numpy(), 0.02)
            counts[c] += (ours & theirs).sum(), (ours | theirs).sum(), 0
    assert metric.compute().per_class == pytest.approx(counts[:, 0] / counts[:, 1])


def test_order_and_sharing_change_nothing_and_options_must_agree():
    whole, part, rest = (BoundaryIoU(TAXONOMY) for _ in range(3))
    for seed in range(3):
        whole.update(*image(seed), str(seed))
    part.update(*image(2), "2")
    rest.update(*image(1), "1")
    rest.update(*image(0), "0")
    part.merge(rest)
    assert part.compute() == whole.compute()
    with pytest.raises(StructureError, match="other options cannot be merged"):
        whole.merge(BoundaryIoU(TAXONOMY, dilation_ratio=0.1))
    with pytest.raises(StructureError, match=r"dilation_ratio 0.0 must be above 0"):
        BoundaryIoU(TAXONOMY, dilation_ratio=0.0)
