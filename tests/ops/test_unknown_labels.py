import torch

from segscape.ops.unknown_labels import label_fault, shape_fault, unknown_labels


def of(labels):
    return torch.tensor(labels, dtype=torch.int64).reshape(1, 1, -1)


def logits(channels, pixels):
    return torch.zeros(1, channels, 1, pixels)


def test_finds_what_is_no_category():
    labels = torch.tensor([[0, 2, 255], [-1, 7, 3]])
    assert unknown_labels(labels, 3, 255) == [-1, 3, 7]
    expected = "labels [255] for 8 categories and ignore_id -1: map or ignore them"
    assert label_fault(logits(8, 3), of([0, 255, 7]), -1) == expected
    assert label_fault(logits(3, 3), of([0, 2, 255]), 255) is None
    assert label_fault(logits(3, 0), of([]), 255) is None
    assert label_fault(logits(3, 2), of([255, 255]), 255) is None
    assert label_fault(logits(1, 3), of([0, 1, 255]), 255, binary=True) is None
    expected = "labels [2] for 2 categories and ignore_id 255: map or ignore them"
    assert label_fault(logits(1, 1), of([2]), 255, binary=True) == expected
    expected = "logits of 2 channels: give one, the foreground's"
    assert label_fault(logits(2, 1), of([1]), 255, binary=True) == expected


def test_finds_what_is_not_one_for_each_pixel():
    scores, labels = torch.zeros(2, 3, 4, 5), torch.zeros(2, 4, 5, dtype=torch.int64)
    assert shape_fault(scores, labels) is None
    assert shape_fault(scores, labels, torch.ones(2, 4, 5)) is None
    expected = "labels of 2 x 4 x 4 for logits of 2 x 4 x 5 pixels: resize one to the other"
    assert shape_fault(scores, labels[:, :, :4]) == expected
    expected = "pixel weights of 1 x 4 x 5 for logits of 2 x 4 x 5 pixels: resize one to the other"
    assert shape_fault(scores, labels, torch.ones(1, 4, 5)) == expected
