import pickle

import pytest
import torch

from segscape.datasets.cached import CachedDataset
from segscape.datasets.dataset import Dataset
from segscape.datasets.synthetic import SyntheticInstance, SyntheticSemantic
from segscape.structures import DatasetError, Size

SMALL = Size(32, 40)
BYTES = 4 * 32 * 40


class Counting(SyntheticSemantic):
    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        return super().__getitem__(index)


def test_each_sample_is_read_once():
    source = Counting(3, size=SMALL)
    cached = CachedDataset(source)
    assert isinstance(cached, Dataset)
    assert (cached.taxonomy, cached.keys, len(cached)) == (source.taxonomy, source.keys, 3)
    for _ in range(3):
        for index in (0, 1, 2, -1):
            sample = cached[index]
            assert sample.key == source.keys[index]
            assert cached.size(index) == SMALL
    assert source.reads == 3
    assert cached.kept_bytes == 3 * BYTES
    assert torch.equal(cached[1].image, source[1].image)
    with pytest.raises(IndexError):
        cached[3]


def test_the_budget_is_kept():
    source = Counting(3, size=SMALL)
    cached = CachedDataset(source, byte_budget=2 * BYTES + 5)
    for _ in range(2):
        for index in range(3):
            assert cached[index].key == source.keys[index]
    assert source.reads == 2 + 2
    assert cached.kept_bytes == 2 * BYTES
    with pytest.raises(DatasetError, match="0 or more"):
        CachedDataset(source, byte_budget=-1)


def test_targets_of_other_kinds_are_counted():
    cached = CachedDataset(SyntheticInstance(2, size=SMALL))
    target = cached[1].target
    expected = 3 * 32 * 40 + target.masks.nbytes + target.boxes.nbytes
    expected += target.category_ids.nbytes + target.scores.nbytes + target.is_crowd.nbytes
    assert cached.kept_bytes == expected


def test_travels_to_worker_processes():
    cached = CachedDataset(SyntheticSemantic(2, size=SMALL))
    cached[0]
    copy = pickle.loads(pickle.dumps(cached))
    assert torch.equal(copy[1].image, cached[1].image)
