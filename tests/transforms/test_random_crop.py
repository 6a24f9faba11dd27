"""Windows are exact copies, void outside."""

import torch
from tests.support.samples import drawn_sample, noise_sample

from segscape.transforms import Pad, RandomCrop, generator_for


def test_a_window_is_a_copy_of_the_image() -> None:
    sample = noise_sample(13, 17)
    for index in range(20):
        crop = RandomCrop(5, 6)(sample, generator_for(0, 0, index))
        places = sample.image.unfold(1, 5, 1).unfold(2, 6, 1).permute(1, 2, 0, 3, 4)
        top, left = (places == crop.image).flatten(2).all(2).nonzero()[0].tolist()
        assert torch.equal(crop.target.labels, sample.target.labels[top : top + 5, left : left + 6])


def test_an_image_smaller_than_the_window_is_kept_whole() -> None:
    sample = drawn_sample(4, 30, void=False)
    crop = RandomCrop(9, 12)(sample, generator_for(0, 0, 1))
    rows = (crop.target.labels != 255).any(1)
    assert int(rows.sum()) == 4
    assert not bool((crop.target.labels[rows] == 255).any())
    assert crop.pixel_weights is not None
    assert float(crop.pixel_weights[~rows].abs().max()) == 0.0
    mean = sample.image.float().mean((1, 2)).round().to(torch.uint8)
    assert torch.equal(crop.image[:, ~rows], mean[:, None, None].expand(3, 5, 12))


def test_padding_is_right_and_bottom() -> None:
    sample = drawn_sample(4, 30, void=False)
    padded = Pad(6, 8)(sample, generator_for(0, 0, 0))
    assert tuple(padded.size) == (6, 30)
    assert torch.equal(padded.image[:, :4], sample.image)
    assert torch.equal(padded.target.labels[:4], sample.target.labels)
    assert bool((padded.target.labels[4:] == 255).all())
    assert Pad(3, 3)(sample, generator_for(0, 0, 0)) is sample
