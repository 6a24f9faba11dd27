import itertools

import pytest
import torch

from segscape.classical.k_means import k_means
from segscape.classical.multi_label_cut import multi_label_cut
from segscape.structures import MethodError


def noisy_quarters(channels=3, side=16, noise=0.05):
    """Four squares of four colours under noise, and which is which."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.tensor([[0, 1], [2, 3]]).repeat_interleave(side, 0).repeat_interleave(side, 1)
    colors = torch.linspace(0.2, 0.8, 4)[truth].expand(channels, -1, -1)
    return colors + noise * torch.randn(truth.shape, generator=generator), truth


def same_parts(first, second):
    pairs = torch.stack([first.flatten(), second.flatten()]).unique(dim=1)
    return pairs.shape[1] == first.unique().numel() == second.unique().numel()


def agreement(labels, truth):
    """The share of pixels in the part of most of their label."""
    pairs = [[((labels == a) & (truth == b)).sum() for b in range(4)] for a in range(4)]
    return float(torch.tensor(pairs).amax(dim=1).sum() / truth.numel())


def test_noise_that_k_means_shows_is_gone():
    image, truth = noisy_quarters()
    alone = k_means(image, clusters=4).partition.regions
    found = multi_label_cut(image, clusters=4)
    assert agreement(alone, truth) < 0.97
    assert agreement(found.labels, truth) > 0.99
    assert found.converged
    assert found.partition.count == 4
    assert all(b <= a for a, b in itertools.pairwise(found.energies))


def test_without_smoothness_labels_are_those_of_k_means():
    image, _ = noisy_quarters()
    found = multi_label_cut(image, clusters=4, smoothness=0.0)
    regions = k_means(image, clusters=4).partition.regions
    assert same_parts(found.labels, regions)


@pytest.mark.parametrize("channels", [1, 3, 7])
@pytest.mark.parametrize("truncation", [None, 1.5])
def test_marks_show_the_labels(channels, truncation):
    image, truth = noisy_quarters(channels)
    marks = torch.full(truth.shape, 255, dtype=torch.uint8)
    for label, (top, left) in enumerate(((2, 2), (2, 20), (20, 2), (20, 20))):
        marks[top : top + 8, left : left + 8] = label
    found = multi_label_cut(image, marks=marks, truncation=truncation, neighbors=4)
    assert (found.labels == truth).float().mean() > 0.98
    assert torch.equal(found.labels[marks != 255], marks[marks != 255].to(found.labels.dtype))


def test_marked_pixels_keep_their_label_against_all_neighbours():
    image, _ = noisy_quarters()
    marks = torch.full((32, 32), 255, dtype=torch.uint8)
    marks[8:12, 8:12] = 0
    marks[20:28, 20:28] = 1
    marks[10, 10] = 1
    found = multi_label_cut(image, marks=marks, smoothness=100.0)
    assert int(found.labels[10, 10]) == 1
    assert int(found.labels[9, 9]) == 0


def test_one_class_of_marks_one_cluster_and_constant_images():
    image = torch.full((3, 5, 6), 0.5)
    marks = torch.full((5, 6), 255, dtype=torch.uint8)
    marks[2, 2] = 0
    assert multi_label_cut(image, marks=marks).labels.unique().tolist() == [0]
    marks[0, 0] = 1
    two = multi_label_cut(image, marks=marks)
    assert [int(two.labels[2, 2]), int(two.labels[0, 0])] == [0, 1]
    assert multi_label_cut(image, clusters=1).partition.count == 1
    with pytest.raises(MethodError, match="distinct pixel"):
        multi_label_cut(image, clusters=2)


@pytest.mark.parametrize("type_", [torch.uint8, torch.uint16, torch.float64])
def test_rows_columns_and_other_types(type_):
    levels = torch.tensor([0.0, 0.1, 0.9, 1.0])
    scale = {torch.uint8: 255, torch.uint16: 65535, torch.float64: 1}[type_]
    row = (levels * scale).to(type_).view(1, 1, 4)
    for image in (row, row.mT.contiguous()):
        labels = multi_label_cut(image, clusters=2, smoothness=0.1).labels.ravel().tolist()
        assert labels in ([0, 0, 1, 1], [1, 1, 0, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothness": -1.0}, "smoothness=-1.0"),
        ({"truncation": 0.0}, "truncation=0.0"),
        ({"marks": torch.full((32, 32), 255, dtype=torch.uint8)}, "mark each of"),
        ({"marks": torch.full((32, 32), 3, dtype=torch.uint8)}, r"labels \[3\]"),
        ({"cycles": 0}, "cycles=0"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options, message):
    with pytest.raises(MethodError, match=message) as error:
        multi_label_cut(noisy_quarters()[0], **options)
    assert "\n" not in str(error.value)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(MethodError, match="nan or infinite"):
        multi_label_cut(torch.full((3, 4, 4), torch.nan))
