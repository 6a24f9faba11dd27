import pytest
import torch

from segscape.classical.color_crf import color_crf
from segscape.classical.k_means import k_means
from segscape.structures import MethodError


def noisy_halves() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    image = torch.full((1, 24, 32), 0.3)
    image[:, :, 16:] = 0.6
    return (image + 0.07 * torch.randn(1, 24, 32, generator=generator)).clamp(0, 1)


def test_clusters_have_fewer_specks_than_colours_alone_leave():
    image = noisy_halves()
    truth = (torch.arange(32) >= 16).expand(24, 32)

    def right(ids: torch.Tensor) -> float:
        share = float((ids.bool() == truth).float().mean())
        return max(share, 1 - share)

    alone = right(k_means(image, clusters=2).partition.regions)
    smooth = color_crf(image, clusters=2)
    assert right(smooth.labels) > alone + 0.005
    assert torch.allclose(smooth.scores.sum(0), torch.ones(24, 32), atol=1e-5)


def test_without_iterations_each_pixel_has_the_label_of_its_colour():
    image = noisy_halves()
    found = color_crf(image, clusters=3, iterations=0)
    assert found.partition.regions.equal(k_means(image, clusters=3).partition.regions)


def test_marks_stay_and_spread_to_what_looks_alike():
    image = torch.zeros(3, 12, 18)
    image[0, :, 6:] = 0.9
    image[1, :, 12:] = 0.9
    marks = torch.full((12, 18), 255, dtype=torch.uint8)
    marks[6, 1:4], marks[6, 8:10], marks[6, 14:16] = 0, 1, 2
    marks[0, 0] = 2  # against its colour
    labels = color_crf(image, marks=marks).labels
    assert labels[0, 0] == 2
    assert labels[11].tolist() == [0] * 6 + [1] * 6 + [2] * 6


@pytest.mark.parametrize("shape", [(1, 1, 7), (1, 9, 1), (5, 6, 7)])
def test_any_size_and_number_of_channels(shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    assert color_crf(image, clusters=2).labels.shape == shape[1:]


def test_a_constant_image_is_one_label():
    assert color_crf(torch.full((3, 5, 6), 0.5), clusters=1).partition.count == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"appearance_color": 0.0}, "appearance_color"),
        ({"clusters": 0}, "clusters=0"),
        ({"iterations": -1}, "iterations"),
        ({"marks": torch.full((24, 32), 255, dtype=torch.uint8)}, "mark each of 0..k-1"),
        ({"marks": torch.zeros(3, 3, dtype=torch.uint8)}, "expected (24, 32)"),
    ],
)
def test_what_cannot_be_is_refused(options, said):
    with pytest.raises(MethodError) as caught:
        color_crf(noisy_halves(), **options)
    assert said in str(caught.value)
