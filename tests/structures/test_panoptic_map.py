from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.support.scenes_of_labels import instance_sets, label_maps, panoptic_maps, taxonomies

from segscape.structures import (
    Category,
    InstanceSet,
    LabelMap,
    PanopticMap,
    Segment,
    StructureError,
    Taxonomy,
)

TAXONOMY = Taxonomy(
    (
        Category("sky", (1, 1, 1)),
        Category("road", (2, 2, 2)),
        Category("car", (3, 3, 3), is_thing=True),
    )
)
IDS = torch.tensor([[0, 7, 7], [4, 4, 9]])
SEGMENTS = (Segment(7, 0), Segment(9, 2, 0.5), Segment(4, 2, 0.25, is_crowd=True))
SCENE = PanopticMap(IDS, SEGMENTS, TAXONOMY)


def test_labels_and_objects_are_read_off():
    assert SCENE.to_label_map().labels.tolist() == [[255, 0, 0], [2, 2, 2]]
    objects = SCENE.to_instance_set()
    assert objects.category_ids.tolist() == [2, 2]
    assert objects.scores.tolist() == [0.5, 0.25]
    assert objects.is_crowd.tolist() == [False, True]
    assert objects.boxes.tolist() == [[2, 1, 3, 2], [0, 1, 2, 2]]


@given(panoptic_maps())
def test_round_trip_through_labels_and_objects(scene):
    labels, objects = scene.to_label_map(), scene.to_instance_set()
    again = PanopticMap.from_label_map(labels, objects)
    assert _described(again) == _described(scene, stuff_scores=False)
    assert torch.equal(again.to_label_map().labels, labels.labels)
    assert torch.equal(again.to_instance_set().masks, objects.masks)


@given(panoptic_maps())
def test_labels_are_the_category_of_each_pixel(scene):
    category = {segment.id: segment.category_id for segment in scene.segments}
    category[0] = scene.taxonomy.ignore_id
    expected = [[category[name] for name in row] for row in scene.segment_ids.tolist()]
    assert scene.to_label_map().labels.tolist() == expected


@given(st.data())
def test_earlier_objects_win_then_stuff_then_void(data):
    taxonomy = data.draw(taxonomies())
    label_map = data.draw(label_maps(taxonomy))
    objects = data.draw(instance_sets(taxonomy, tuple(label_map.size)))
    scene = PanopticMap.from_label_map(label_map, objects)
    category = {segment.id: segment.category_id for segment in scene.segments}
    for row in range(label_map.size.height):
        for column in range(label_map.size.width):
            found = category.get(int(scene.segment_ids[row, column]))
            covering = [i for i in range(len(objects)) if objects.masks[i, row, column]]
            label = int(label_map.labels[row, column])
            if covering:
                assert found == objects.category_ids[covering[0]]
            elif label < len(taxonomy) and not taxonomy.categories[label].is_thing:
                assert found == label
            else:
                assert found is None


def test_stuff_beyond_256_categories_stays_where_it_is():
    # uint8 labels compared with category 256 would wrap around to category 0.
    names = [Category(str(i), (i % 256, i // 256, 0)) for i in range(300)]
    many = Taxonomy(tuple(names), 65535)
    nothing = InstanceSet.from_masks(
        torch.zeros(0, 1, 2, dtype=torch.bool), torch.zeros(0, dtype=torch.int64), many
    )
    labels = LabelMap(torch.tensor([[0, 3]], dtype=torch.uint8), many)
    scene = PanopticMap.from_label_map(labels, nothing)
    assert sorted(segment.category_id for segment in scene.segments) == [0, 3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"segment_ids": torch.zeros(0, 2, dtype=torch.int64)}, "at least 1 x 1"),
        ({"segments": (*SEGMENTS, Segment(9, 2))}, "repeat: use each once"),
        ({"segments": SEGMENTS[:2]}, r"drawn but not listed \[4\].*name the same in both"),
        ({"segments": (*SEGMENTS, Segment(5, 2))}, r"not drawn \[5\]"),
        ({"segments": (*SEGMENTS, Segment(0, 2))}, "id 0, ids begin at 1.*renumber"),
        ({"segments": (Segment(7, 3), *SEGMENTS[1:])}, "category 3, the taxonomy has 0..2: map"),
        ({"segments": (Segment(7, 0, 1.5), *SEGMENTS[1:])}, "score 1.5.*apply a sigmoid"),
        ({"segments": (Segment(7, 0), Segment(9, 0), SEGMENTS[2])}, "'sky' has two segments: mer"),
    ],
)
def test_wrong_parts_are_refused_with_the_cure(change, words):
    with pytest.raises(StructureError, match=words) as caught:
        replace(SCENE, **change)
    assert "\n" not in str(caught.value)


def test_negative_segment_ids_are_refused():
    with pytest.raises(StructureError, match="ids begin at 1"):
        PanopticMap(torch.tensor([[-1]]), (Segment(-1, 2),), TAXONOMY)


def test_labels_and_objects_must_fit_each_other():
    objects, labels = SCENE.to_instance_set(), SCENE.to_label_map()
    other = Taxonomy((*TAXONOMY.categories[:2], Category("bus", (3, 3, 3), is_thing=True)))
    with pytest.raises(StructureError, match="must share one"):
        PanopticMap.from_label_map(LabelMap(labels.labels, other), objects)
    with pytest.raises(StructureError, match="resize one of them"):
        PanopticMap.from_label_map(LabelMap(labels.labels[:1], TAXONOMY), objects)


def _described(scene, *, stuff_scores=True):
    """Segments as a set of (pixels, category, score, crowd): ids and order are free."""
    described = set()
    for segment in scene.segments:
        pixels = tuple(map(tuple, torch.nonzero(scene.segment_ids == segment.id).tolist()))
        keeps = stuff_scores or scene.taxonomy.categories[segment.category_id].is_thing
        score, crowd = (segment.score, segment.is_crowd) if keeps else (1.0, False)
        described.add((pixels, segment.category_id, score, crowd))
    return described
