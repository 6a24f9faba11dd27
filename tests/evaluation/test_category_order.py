import pytest
import torch

from segscape.evaluation.category_order import CategoryOrder
from segscape.structures import CheckpointError, LabelMap, Taxonomy

MODEL = Taxonomy.from_names(["road", "sky", "car"])
DATA = Taxonomy.from_names(["sky", "car", "road"], ignore_id=99)


def test_same_names_in_another_order_are_mapped():
    order = CategoryOrder(MODEL, DATA)
    labels = LabelMap(torch.tensor([[0, 1, 2, 255]], dtype=torch.uint8), MODEL)
    assert order.of_labels(labels).labels.tolist() == [[2, 0, 1, 99]]
    scores = torch.tensor([0.1, 0.2, 0.7])[:, None, None]
    assert order.of_scores(scores).flatten().tolist() == pytest.approx([0.2, 0.7, 0.1])
    assert not order.is_same


def test_same_order_is_left_alone():
    order = CategoryOrder(MODEL, MODEL)
    labels = LabelMap(torch.tensor([[0, 255]], dtype=torch.uint8), MODEL)
    assert order.of_labels(labels).labels.tolist() == [[0, 255]]
    assert CategoryOrder(DATA, DATA).is_same


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["road", "sky", "bus"], "'bus' only in the data, 'car' only in the model"),
        (["road", "sky"], "categories: 'car' only in the model: choose data"),
        (["road", "sky", "car", "bus"], "categories: 'bus' only in the data: choose"),
        ([f"c{i}" for i in range(20)], "'c7' and 12 more only in the data"),
    ],
)
def test_other_names_are_refused_and_listed(names, words):
    with pytest.raises(CheckpointError, match=words) as caught:
        CategoryOrder(MODEL, Taxonomy.from_names(names))
    assert "--classes" in str(caught.value)
    assert "\n" not in str(caught.value)
