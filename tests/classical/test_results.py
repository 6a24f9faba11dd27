"""The ids in what methods return."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from segscape.classical.results import ids_of, mask_of, regions_of
from segscape.structures import LabelMap, MethodError, Partition, Taxonomy


@dataclass
class Cut:
    mask: Tensor


@dataclass
class Labelled:
    labels: Tensor
    partition: Partition


@dataclass
class Held:
    partition: Partition


def test_each_kind_of_result():
    partition = Partition(torch.tensor([[0, 1, 1]]))
    assert torch.equal(ids_of(partition), partition.regions)
    assert torch.equal(ids_of(Held(partition)), partition.regions)
    mask = torch.tensor([[True, False, False]])
    assert ids_of(Cut(mask)).tolist() == [[1, 0, 0]]
    assert mask_of(Cut(mask)) is mask
    assert mask_of(partition) is None
    # Labels keep their meaning, though one of them is not used.
    labels = torch.tensor([[4, 0, 0]])
    both = Labelled(labels, Partition.from_ids(labels))
    assert ids_of(both).tolist() == [[4, 0, 0]]
    assert regions_of(both).regions.tolist() == [[1, 0, 0]]
    taxonomy = Taxonomy.from_names(["sky", "road"])
    assert ids_of(LabelMap(torch.tensor([[1, 0]], dtype=torch.uint8), taxonomy)).tolist() == [
        [1, 0]
    ]
    assert regions_of(Cut(torch.ones(1, 3, dtype=torch.bool))).count == 1


def test_anything_else_is_refused():
    with pytest.raises(MethodError, match="int holds neither a partition nor labels nor a mask"):
        ids_of(3)
