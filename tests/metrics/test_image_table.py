import numpy as np
import pytest
from tests.support.processes import run_in_processes

from segscape.metrics.image_table import ImageTable
from segscape.structures import StructureError


def filled(keys):
    table = ImageTable("hits")
    for key in keys:
        table.add(key, np.array([int(key), 7]))
    return table


def share_of_two(rank, world):
    # Image 2 is met by both, as when a sampler pads the last batch.
    table = filled("02" if rank == 0 else "231")
    table.merge_over_processes()
    return table.keys, table.stacked()


def test_two_processes_count_each_image_once():
    for keys, counts in run_in_processes(share_of_two):
        assert keys == ("0", "1", "2", "3")
        assert counts.tolist() == [[0, 7], [1, 7], [2, 7], [3, 7]]


def test_merging_leaves_the_other_as_it_is():
    one, other = filled("31"), filled("0")
    one.merge(other)
    assert one.keys == ("0", "1", "3")
    assert other.keys == ("0",)
    assert one.row("3").tolist() == [3, 7]


def test_another_result_and_a_missing_one_are_refused():
    table = filled("1")
    with pytest.raises(StructureError, match="hits: image '1' was counted before with another"):
        table.add("1", np.array([2, 7]))
    with pytest.raises(StructureError, match=r"hits: no image .9. was counted: see \.keys"):
        table.row("9")
    with pytest.raises(StructureError, match="hits: no image was counted: call update first"):
        ImageTable("hits").stacked()
