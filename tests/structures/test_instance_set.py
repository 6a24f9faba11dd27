from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.support.scenes_of_labels import instance_sets, taxonomies

from segscape.structures import Category, InstanceSet, StructureError, Taxonomy

TAXONOMY = Taxonomy((Category("sky", (0, 0, 0)), Category("car", (9, 9, 9), is_thing=True)))
MASKS = torch.zeros(2, 4, 6, dtype=torch.bool)
MASKS[0, 1:3, 2:5] = True
MASKS[1, 0, 0] = True
CARS = InstanceSet.from_masks(MASKS, torch.tensor([1, 1]), TAXONOMY)


def test_truth_has_tight_boxes_full_scores_and_no_crowd():
    assert CARS.boxes.tolist() == [[2, 1, 5, 3], [0, 0, 1, 1]]
    assert CARS.scores.tolist() == [1, 1]
    assert CARS.is_crowd.tolist() == [False, False]


@given(st.data())
def test_selecting_keeps_the_parts_together(data):
    taxonomy = data.draw(taxonomies(least_things=1))
    objects = data.draw(instance_sets(taxonomy, (3, 4)))
    order = data.draw(st.permutations(range(len(objects))))
    chosen = objects.select(order)
    for place, position in enumerate(order):
        assert torch.equal(chosen.masks[place], objects.masks[position])
        assert torch.equal(chosen.boxes[place], objects.boxes[position])
        assert chosen.category_ids[place] == objects.category_ids[position]
    where = torch.tensor([i % 2 == 0 for i in range(len(objects))], dtype=torch.bool)
    assert len(objects.select(where)) == (len(objects) + 1) // 2
    assert len(objects.select([])) == 0


def test_selecting_from_nothing_gives_nothing():
    assert len(CARS.select([]).select(torch.zeros(0, dtype=torch.bool))) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"category_ids": torch.tensor([1])}, "give one each"),
        ({"category_ids": torch.tensor([0, 1])}, r"\[0\] are not things; things are \[1\]: mark"),
        ({"category_ids": torch.tensor([1, 7])}, r"\[7\] are not things"),
        ({"scores": torch.tensor([0.5, 1.5])}, r"must lie in \[0, 1\]: apply a sigmoid"),
        ({"scores": torch.tensor([0.5, float("nan")])}, "apply a sigmoid"),
        ({"boxes": torch.tensor([[0.0, 0, 1, 1], [3, 0, 2, 1]])}, "object 1 .*swap its corners"),
        ({"boxes": torch.tensor([[0.0, 0, 7, 1], [0, 0, 2, 1]])}, "inside 4 x 6: clip it"),
        ({"boxes": torch.tensor([[0.0, 0, 1, float("nan")], [0, 0, 2, 1]])}, "object 0"),
        ({"masks": torch.zeros(2, 0, 6, dtype=torch.bool)}, "at least 1 x 1"),
    ],
)
def test_wrong_parts_are_refused_with_the_cure(change, words):
    with pytest.raises(StructureError, match=words) as caught:
        _build(CARS, change)
    assert "\n" not in str(caught.value)


def _build(objects, change):
    # The shape checker of the tests would refuse unequal lengths before the constructor does.
    if "category_ids" in change and len(change["category_ids"]) != len(objects):
        broken = object.__new__(InstanceSet)
        for name, value in (vars(objects) | change).items():
            object.__setattr__(broken, name, value)
        broken.__post_init__()
    else:
        replace(objects, **change)
