import numpy as np
import pytest
import torch

from segscape.datasets.dataset import Dataset
from segscape.datasets.synthetic import (
    PART_TAXONOMY,
    SCENE_TAXONOMY,
    SyntheticInstance,
    SyntheticPanoptic,
    SyntheticParts,
    SyntheticSemantic,
    draw_scene,
)
from segscape.structures import DatasetError, Size

SMALL = Size(64, 80)


def test_a_scene_is_a_function_of_its_arguments():
    one, again = draw_scene(3, 5, SMALL), draw_scene(3, 5, SMALL)
    assert np.array_equal(one.image, again.image)
    assert np.array_equal(one.parts, again.parts)
    for other in (
        draw_scene(4, 5, SMALL),
        draw_scene(3, 6, SMALL),
        draw_scene(3, 5, SMALL, split="val"),
    ):
        assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize("size", [Size(32, 32), Size(33, 200), Size(200, 33), Size(128, 160)])
def test_any_size_is_drawn(size):
    scene = draw_scene(0, 1, size)
    assert scene.image.shape == (3, *size)
    assert scene.categories.shape == scene.parts.shape == scene.instances.shape == tuple(size)


@pytest.mark.parametrize("index", range(25))
def test_parts_instances_and_categories_agree(index):
    scene = draw_scene(1, index, SMALL)
    for part in np.unique(scene.parts):
        category = PART_TAXONOMY.categories[part]
        whole = category.part_of or category.name
        here = np.unique(scene.categories[scene.parts == part])
        assert [SCENE_TAXONOMY.names[i] for i in here] == [whole]
    present = np.unique(scene.instances)
    assert present.max() == len(scene.instance_categories)
    for number in present[present > 0]:
        here = np.unique(scene.categories[scene.instances == number])
        assert here.tolist() == [scene.instance_categories[number - 1]]
    stuff = np.unique(scene.categories[scene.instances == 0])
    assert not set(stuff.tolist()) & set(SCENE_TAXONOMY.thing_ids)


def test_every_category_and_part_occurs_and_things_hide_each_other():
    scenes = [draw_scene(0, index, SMALL) for index in range(60)]
    categories = {int(i) for s in scenes for i in np.unique(s.categories)}
    parts = {int(i) for s in scenes for i in np.unique(s.parts)}
    assert categories == set(range(len(SCENE_TAXONOMY)))
    with_parts = {c.part_of for c in PART_TAXONOMY.categories if c.part_of}
    expected = {i for i, c in enumerate(PART_TAXONOMY.categories) if c.name not in with_parts}
    assert parts == expected
    several = sum(len(s.instance_categories) >= 3 for s in scenes)
    assert several > 40
    touching = 0
    for scene in scenes:
        left, right = scene.instances[:, :-1], scene.instances[:, 1:]
        touching += bool(((left != right) & (left > 0) & (right > 0)).any())
    assert touching > 25


def test_colour_alone_does_not_tell_the_categories():
    # A nearest-neighbour look-up in coarse colour space is the best a colour rule can do.
    train = [draw_scene(0, index, SMALL) for index in range(40)]
    counts = np.zeros((16**3, len(SCENE_TAXONOMY)))
    for scene in train:
        red, green, blue = (scene.image // 16).reshape(3, -1).astype(int)
        np.add.at(counts, (red * 256 + green * 16 + blue, scene.categories.ravel()), 1)
    hits = total = 0
    for index in range(10):
        scene = draw_scene(0, index, SMALL, split="val")
        red, green, blue = (scene.image // 16).reshape(3, -1).astype(int)
        guess = counts.argmax(1)[red * 256 + green * 16 + blue]
        hits += int((guess == scene.categories.ravel()).sum())
        total += guess.size
    assert 0.3 < hits / total < 0.75


@pytest.mark.parametrize(
    "kind", [SyntheticSemantic, SyntheticParts, SyntheticInstance, SyntheticPanoptic]
)
def test_views_are_data_sets_of_the_same_images(kind):
    dataset = kind(4, size=SMALL, seed=7, split="val")
    assert isinstance(dataset, Dataset)
    assert len(dataset) == 4
    assert dataset.keys[2] == "val-00002"
    sample = dataset[2]
    assert sample.key == "val-00002"
    assert sample.size == dataset.size(2) == SMALL
    assert sample.target.taxonomy == dataset.taxonomy
    expected = draw_scene(7, 2, SMALL, split="val").image
    assert torch.equal(sample.image, torch.from_numpy(expected))
    assert torch.equal(dataset[-1].image, dataset[3].image)
    assert dataset[-1].key == dataset[3].key
    with pytest.raises(IndexError):
        dataset[4]
    with pytest.raises(IndexError):
        dataset.size(4)


def test_segments_agree_with_categories_and_leave_nothing_void():
    segments = SyntheticPanoptic(8, size=SMALL)
    labels = SyntheticSemantic(8, size=SMALL)
    for index in range(8):
        target = segments[index].target
        assert bool((target.segment_ids > 0).all())
        assert torch.equal(target.to_label_map().labels, labels[index].target.labels)


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        ({"count": 0}, "give 1 or more"),
        ({"count": 1, "size": Size(16, 64)}, "at least 32 x 32"),
        ({"count": 1, "split": "trian"}, "train, val, test"),
    ],
)
def test_wrong_arguments_are_refused_with_the_cure(options, cure):
    count = options.pop("count")
    with pytest.raises(DatasetError, match=cure):
        SyntheticSemantic(count, **options)


def test_draw_scene_refuses_a_negative_index():
    with pytest.raises(DatasetError, match="0 or more"):
        draw_scene(0, -1, SMALL)
