import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.support.scenes_of_labels import id_grids

from segscape.structures import Partition, StructureError

ANY_IDS = st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=6, unique=True)


@given(ANY_IDS.flatmap(id_grids))
def test_any_ids_are_renumbered_without_changing_the_regions(ids):
    partition = Partition.from_ids(ids)
    flat, regions = ids.flatten(), partition.regions.flatten()
    assert partition.count == len(set(flat.tolist()))
    assert set(regions.tolist()) == set(range(partition.count))
    same_before, same_after = flat[:, None] == flat, regions[:, None] == regions
    assert torch.equal(same_before, same_after)
    assert torch.equal(flat[:, None] < flat, regions[:, None] < regions)
    assert torch.equal(Partition.from_ids(partition.regions).regions, partition.regions)


@pytest.mark.parametrize("ids", [[[1, 2]], [[0, 2]], [[-1, 0]], [[5, 5]]])
def test_gaps_and_negative_ids_are_refused_with_the_cure(ids):
    with pytest.raises(StructureError, match="from_ids renumbers them"):
        Partition(torch.tensor(ids))


def test_no_pixels_are_refused():
    with pytest.raises(StructureError, match="at least 1 x 1"):
        Partition(torch.zeros(3, 0, dtype=torch.int64))


def test_size_is_height_and_width():
    assert Partition(torch.zeros(2, 5, dtype=torch.int64)).size == (2, 5)
