import torch

from segscape.ops.unknown_labels import label_fault, unknown_labels


def test_finds_what_is_no_category():
    labels = torch.tensor([[0, 2, 255], [-1, 7, 3]])
    assert unknown_labels(labels, 3, 255) == [-1, 3, 7]
    expected = "labels [255] for 8 categories and ignore_id -1: map or ignore them"
    assert label_fault(labels, 8, -1) == expected
    assert label_fault(torch.tensor([0, 2, 255]), 3, 255) is None
    assert label_fault(torch.tensor([], dtype=torch.int64), 3, 255) is None
    assert label_fault(torch.tensor([255, 255]), 3, 255) is None
