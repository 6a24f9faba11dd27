import pytest
import torch
import torch.nn.functional as F

from segscape.losses.cross_entropy import cross_entropy
from segscape.losses.ohem import ohem_cross_entropy
from segscape.structures import StructureError


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, 3, 6, 7, generator=generator)
    labels = torch.randint(3, (2, 6, 7), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    return logits, labels


@pytest.mark.parametrize(("threshold", "min_kept"), [(0.3, 0), (0.3, 2), (0.05, 9), (0.0, 4)])
def test_keeps_the_hard_pixels(threshold, min_kept):
    logits, labels = batch()
    costs = F.cross_entropy(logits, labels, ignore_index=255, reduction="none")[labels != 255]
    ordered = costs.sort(descending=True).values
    hard = int((costs.neg().exp() < threshold).sum())
    expected = ordered[: max(hard, 2 * min_kept)].mean()
    found = ohem_cross_entropy(logits, labels, threshold=threshold, min_kept=min_kept)
    torch.testing.assert_close(found, expected)


def test_with_fewer_pixels_than_wanted_it_is_cross_entropy():
    logits, labels = batch()
    weights, balance = torch.rand(labels.shape), torch.tensor([0.5, 1.0, 2.0])
    torch.testing.assert_close(
        ohem_cross_entropy(logits, labels, pixel_weights=weights, class_weights=balance),
        cross_entropy(logits, labels, pixel_weights=weights, class_weights=balance),
    )


def test_pixels_of_equal_score_are_kept_together():
    # Training has pressed all scores to 1: strictly-below rules keep nothing and give 0 / 0.
    labels = torch.zeros(1, 2, 3, dtype=torch.int64)
    logits = torch.zeros(1, 2, 2, 3)
    logits[:, 0] = 3
    found = ohem_cross_entropy(logits, labels, threshold=0.5, min_kept=2)
    torch.testing.assert_close(found, cross_entropy(logits, labels))


def test_pixels_of_weight_0_take_no_place():
    logits, labels = batch()
    weights = torch.ones(labels.shape)
    weights[0] = 0
    torch.testing.assert_close(
        ohem_cross_entropy(logits, labels, pixel_weights=weights, threshold=0.0, min_kept=3),
        ohem_cross_entropy(logits[1:], labels[1:], threshold=0.0, min_kept=6),
    )


def test_nothing_hard_and_nothing_asked_for_gives_0():
    logits, labels = batch()
    assert float(ohem_cross_entropy(logits, labels, threshold=0.0, min_kept=0)) == 0


def test_options_out_of_range_are_refused():
    with pytest.raises(StructureError, match=r"threshold 1.5 must be in \[0, 1\]"):
        ohem_cross_entropy(*batch(), threshold=1.5)
    with pytest.raises(StructureError, match="min_kept -1"):
        ohem_cross_entropy(*batch(), min_kept=-1)
