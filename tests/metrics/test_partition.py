"""ODS, OIS and Best over settings, by hand."""

import pytest
import torch

from segscape.metrics.partition import PartitionAgreement, best_over_settings
from segscape.structures import Partition, StructureError

TRUTH = Partition(torch.tensor([[0] * 6 + [1] * 6] * 12))
WHOLE = Partition(torch.zeros(12, 12, dtype=torch.int64))
QUARTERS = Partition(torch.arange(4).repeat_interleave(3).expand(12, 12))


def _counted(partitions: dict[str, Partition]) -> PartitionAgreement:
    metric = PartitionAgreement(tolerance=0.0)
    for key, partition in partitions.items():
        metric.update(partition, [TRUTH], key)
    return metric


def test_each_image_has_its_best_setting_in_ois_and_all_have_one_in_ods() -> None:
    scores = best_over_settings(
        {
            "coarse": _counted({"a": TRUTH, "b": WHOLE}),
            "fine": _counted({"a": QUARTERS, "b": QUARTERS}),
        }
    )
    # Coverings: coarse 1 and 1/2, fine 1/2 and 1/2.
    assert scores.covering_ods == pytest.approx(0.75)
    assert scores.covering_ois == pytest.approx(0.75)
    assert scores.best_settings["covering"] == "coarse"
    assert scores.variation_of_information_ods == pytest.approx(0.5)
    assert scores.variation_of_information_ois == pytest.approx(0.5)
    # F over both: coarse 12 right of 12, 12 found of 24; fine 24 right of 72, 24 found of 24.
    assert scores.boundaries_ods.f == pytest.approx(2 / 3)
    assert scores.best_settings["boundaries"] == "coarse"
    # With the best for each: 12 + 12 right of 12 + 36, all found.
    assert scores.boundaries_ois.precision == pytest.approx(0.5)
    assert scores.boundaries_ois.recall == pytest.approx(1.0)


def test_best_takes_each_region_from_the_setting_that_has_it() -> None:
    left = Partition(torch.tensor([[0] * 6 + [1] * 3 + [2] * 3] * 12))
    right = Partition(torch.tensor([[0] * 3 + [1] * 3 + [2] * 6] * 12))
    scores = best_over_settings({"left": _counted({"a": left}), "right": _counted({"a": right})})
    assert scores.covering_ods == pytest.approx(0.75)
    assert scores.covering_best == pytest.approx(1.0)


def test_one_setting_scores_the_same_in_every_way() -> None:
    metric = _counted({"a": QUARTERS, "b": TRUTH})
    scores, plain = best_over_settings({"only": metric}), metric.compute()
    assert scores.covering_ods == scores.covering_ois == scores.covering_best
    assert scores.covering_ods == plain.regions.covering
    assert scores.rand_index_ods == scores.rand_index_ois == plain.regions.rand_index
    assert scores.boundaries_ods == scores.boundaries_ois == plain.boundaries


def test_merging_joins_images() -> None:
    one, other = _counted({"a": QUARTERS}), _counted({"b": TRUTH})
    one.merge(other)
    assert one.keys == ("a", "b")
    assert one.compute() == _counted({"b": TRUTH, "a": QUARTERS}).compute()


def test_wrong_input_is_refused_in_one_line() -> None:
    with pytest.raises(StructureError, match="got no setting"):
        best_over_settings({})
    with pytest.raises(StructureError, match="'b' has counted 1 images that are not the 1"):
        best_over_settings({"a": _counted({"x": TRUTH}), "b": _counted({"y": TRUTH})})
