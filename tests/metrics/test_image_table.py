import numpy as np
import pytest

from segscape.metrics.image_table import ImageTable
from segscape.structures import StructureError


def filled(keys):
    table = ImageTable("hits")
    for key in keys:
        table.add(key, np.array([int(key), 7]))
    return table


def test_merging_leaves_the_other_as_it_is():
    one, other = filled("31"), filled("0")
    one.merge(other)
    assert one.keys == ("0", "1", "3")
    assert other.keys == ("0",)
    assert one.row("3").tolist() == [3, 7]
    assert one.stacked().tolist() == [[0, 7], [1, 7], [3, 7]]


def test_another_result_and_a_missing_one_are_refused():
    table = filled("1")
    with pytest.raises(StructureError, match="hits: image '1' was counted before with another"):
        table.add("1", np.array([2, 7]))
    with pytest.raises(StructureError, match=r"hits: no image .9. was counted: see \.keys"):
        table.row("9")
    with pytest.raises(StructureError, match="hits: no image was counted: call update first"):
        ImageTable("hits").stacked()
