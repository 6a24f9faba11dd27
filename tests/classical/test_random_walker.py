import pytest
import torch

from segscape.classical.random_walker import random_walker
from segscape.structures import MethodError


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.full((3, 30, 40), 100, dtype=torch.uint8)
    image[:, 8:22, 10:30] = 200
    marks = torch.full((30, 40), 255, dtype=torch.uint8)
    marks[2, 2:30], marks[15, 15:20] = 0, 1
    return image, marks


def test_regions_end_at_edges_and_chances_add_up():
    image, marks = scene()
    walk = random_walker(image, marks)
    assert torch.equal(walk.partition.regions == 1, image[0] == 200)
    assert float(walk.probabilities.min()) >= 0
    assert float((walk.probabilities.sum(0) - 1).abs().max()) < 1e-6


def test_the_type_of_the_image_does_not_matter():
    image, marks = scene()
    expected = random_walker(image, marks).probabilities
    found = random_walker(image.float() * 3 + 5, marks).probabilities
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 7), (1, 7, 1), (200, 5, 6)])
def test_lines_many_channels_and_constant_images(shape):
    marks = torch.full(shape[1:], 255, dtype=torch.uint8)
    marks[0, 0], marks[-1, -1] = 0, 1
    walk = random_walker(torch.zeros(shape), marks)
    half = walk.probabilities[0].flatten()
    assert torch.allclose(half + half.flip(0), torch.ones(half.numel()), atol=1e-4)


def test_one_label_takes_all_and_all_marked_stays():
    marks = torch.full((4, 5), 255, dtype=torch.uint8)
    marks[0, 0] = 0
    assert random_walker(torch.rand(1, 4, 5), marks).partition.count == 1
    marks = torch.arange(20, dtype=torch.uint8).view(4, 5)
    assert torch.equal(random_walker(torch.rand(1, 4, 5), marks).partition.regions, marks.int())


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        (torch.full((4, 4), 255), "labels \\[\\]"),
        (torch.full((4, 4), 1), "without gaps"),
        (torch.zeros(4, 5), "same size"),
    ],
)
def test_wrong_marks_are_refused(marks, message):
    with pytest.raises(MethodError, match=message):
        random_walker(torch.rand(1, 4, 4), marks.to(torch.uint8))


@pytest.mark.parametrize("options", [{"beta": -1.0}, {"tolerance": 0.0}, {"tolerance": 1.0}])
def test_wrong_options_are_refused(options):
    with pytest.raises(MethodError, match="expected 0 or more"):
        random_walker(torch.rand(1, 4, 4), torch.zeros(4, 4, dtype=torch.uint8), **options)


def test_nan_is_refused():
    with pytest.raises(MethodError, match="nan"):
        random_walker(torch.full((1, 2, 2), torch.nan), torch.zeros(2, 2, dtype=torch.uint8))
