"""Flips and quarter turns move every pixel to the place one expects."""

import torch
from tests.support.samples import noise_sample

from segscape.transforms import HorizontalFlip, QuarterTurns, VerticalFlip, generator_for


def test_flips_reverse_one_axis() -> None:
    sample = noise_sample(4, 7)
    across = HorizontalFlip(1.0)(sample, generator_for(0, 0, 0))
    down = VerticalFlip(1.0)(sample, generator_for(0, 0, 0))
    assert torch.equal(across.image, sample.image[:, :, list(range(6, -1, -1))])
    assert torch.equal(across.target.labels, sample.target.labels[:, list(range(6, -1, -1))])
    assert torch.equal(down.image, sample.image[:, list(range(3, -1, -1))])
    assert torch.equal(down.target.labels, sample.target.labels[list(range(3, -1, -1))])


def test_probability() -> None:
    sample = noise_sample(2, 3)
    for transform, expected in ((HorizontalFlip(0.25), 250), (VerticalFlip(0.0), 0)):
        flipped = [transform(sample, generator_for(0, 0, i)) is not sample for i in range(1000)]
        assert abs(sum(flipped) - expected) <= 60 * (expected > 0)


def test_quarter_turns_come_alike_often() -> None:
    sample = noise_sample(3, 5)
    turned = [QuarterTurns()(sample, generator_for(0, 0, i)) for i in range(400)]
    corner = sample.image[:, 0, 0]
    corners = {
        0: lambda image: image[:, 0, 0],
        1: lambda image: image[:, -1, 0],
        2: lambda image: image[:, -1, -1],
        3: lambda image: image[:, 0, -1],
    }
    sizes = [turn.size.height for turn in turned]
    assert 150 < sizes.count(5) < 250
    for read in corners.values():
        hits = sum(torch.equal(read(turn.image), corner) for turn in turned)
        assert 65 < hits < 140
