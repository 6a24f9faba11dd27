import numpy as np
import pytest
import torch
from tests.support.processes import run_in_processes

from segscape.metrics.image_metric import ImageMetric
from segscape.structures import StructureError, Taxonomy

TAXONOMY = Taxonomy.from_names(["a", "b", "c"])


class Hits(ImageMetric):
    def __init__(self, taxonomy=TAXONOMY, *, weight=1):
        super().__init__(taxonomy)
        self.weight = weight

    def _count(self, called, true):
        return np.array([self.weight * (called == true).sum(), true.size], np.int64)

    def compute(self):
        return self._images.keys, self._images.stacked().tolist()


class OtherHits(Hits):
    pass


def filled(keys, **options):
    metric = Hits(**options)
    for key in keys:
        hits = int(key)
        called = torch.tensor([[0] * hits + [1] * (7 - hits)])
        metric.update(called, torch.zeros(1, 7, dtype=torch.int64), key)
    return metric


def share_of_two(rank, world):
    # Image 2 is met by both, as when a sampler pads the last batch.
    metric = filled("02" if rank == 0 else "231")
    metric.merge_over_processes()
    return metric.compute()


def test_two_processes_count_each_image_once():
    for found in run_in_processes(share_of_two):
        assert found == (("0", "1", "2", "3"), [[0, 7], [1, 7], [2, 7], [3, 7]])


def test_merging_leaves_the_other_as_it_is():
    one, other = filled("31", weight=2), filled("0", weight=2)
    one.merge(other)
    assert one.compute() == (("0", "1", "3"), [[0, 7], [2, 7], [6, 7]])
    assert other.compute() == (("0",), [[0, 7]])


def test_only_metrics_of_one_kind_and_its_options_are_merged():
    names = Taxonomy.from_names(["a", "b", "d"])
    for other in (filled("1", weight=2), filled("1", taxonomy=names), OtherHits()):
        with pytest.raises(StructureError, match="Hits: metrics of other options cannot be merged"):
            filled("1").merge(other)
