import pytest
import torch
from hypothesis import given
from tests.support.scenes_of_labels import label_maps

from segscape.structures import LabelMap, StructureError, Taxonomy

TWO = Taxonomy.from_names(["cell", "membrane"])


@given(label_maps())
def test_every_category_and_the_ignored_id_are_taken(label_map):
    ids = label_map.labels.long()
    ignored = ids == label_map.taxonomy.ignore_id
    assert torch.equal(label_map.ignored(), ignored)
    for category_id in range(len(label_map.taxonomy)):
        assert torch.equal(label_map.where(category_id), ids == category_id)
    assert label_map.size == tuple(ids.shape)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize("wrong", [2, 100, -1])
def test_other_ids_are_refused_with_the_cure(dtype, wrong):
    if wrong < 0 and dtype == torch.uint8:
        pytest.skip("unsigned")
    labels = torch.tensor([[0, 1], [wrong, wrong]], dtype=dtype)
    with pytest.raises(StructureError, match=rf"2 pixels hold the ids \[{wrong}\].*map or ignore"):
        LabelMap(labels, TWO)


def test_ids_beyond_the_type_are_not_wrapped_around():
    # torch says that uint8's 255 equals 65535, and that 44 equals 300.
    wide = Taxonomy.from_names(["cell", "membrane"], ignore_id=65535)
    with pytest.raises(StructureError, match=r"\[255\]"):
        LabelMap(torch.tensor([[0, 255]], dtype=torch.uint8), wide)
    many = Taxonomy.from_names([str(i) for i in range(400)])
    label_map = LabelMap(torch.tensor([[44, 255]], dtype=torch.uint8), many)
    assert not label_map.ignored().any()
    assert not label_map.where(300).any()
    assert label_map.where(44).tolist() == [[True, False]]


def test_no_pixels_are_refused():
    with pytest.raises(StructureError, match="at least 1 x 1"):
        LabelMap(torch.zeros(0, 3, dtype=torch.uint8), TWO)


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64])
def test_types_torch_cannot_compute_with_are_refused_with_the_cure(dtype):
    with pytest.raises(StructureError, match=r"give them as torch\.int32"):
        LabelMap(torch.zeros(2, 2).to(dtype), TWO)


def test_highest_score_wins_and_small_types_are_used():
    scores = torch.tensor([[[0.1, 0.9]], [[0.9, 0.1]]])
    label_map = LabelMap.from_scores(scores, TWO)
    assert label_map.labels.tolist() == [[1, 0]]
    assert label_map.labels.dtype == torch.uint8
    many = Taxonomy.from_names([str(i) for i in range(300)])
    assert LabelMap.from_scores(torch.rand(300, 2, 2), many).labels.dtype == torch.int32


def test_one_score_map_per_category_is_demanded():
    with pytest.raises(StructureError, match="3 score maps for 2 categories: give one each"):
        LabelMap.from_scores(torch.rand(3, 2, 2), TWO)
