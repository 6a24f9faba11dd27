"""Windows of proposals that meet an object."""

import numpy as np
import torch
from tests.support.samples import TAXONOMY, picture_of

from segscape.ops.region_proposals import propose_regions
from segscape.structures import LabelMap, Sample
from segscape.transforms import ObjectCrop, ProposalCrop, generator_for, proposal_crop


def two_objects() -> Sample[LabelMap]:
    """A house of 30 x 40, a tree of 20 x 20 beside it; the rest is sky (0)."""
    labels = torch.zeros(90, 120, dtype=torch.uint8)
    labels[20:50, 10:50] = 3
    labels[30:50, 60:80] = 4
    return Sample(picture_of(labels), LabelMap(labels, TAXONOMY), "objects")


def iou(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    def area(box: tuple[int, ...]) -> int:
        return max(0, box[2] - box[0]) * max(0, box[3] - box[1])

    low = tuple(max(a, b) for a, b in zip(one[:2], other[:2], strict=True))
    high = tuple(min(a, b) for a, b in zip(one[2:], other[2:], strict=True))
    shared = area((*low, *high))
    return shared / (area(one) + area(other) - shared)


def test_windows_are_proposals_that_meet_an_object():
    torch.manual_seed(0)
    sample = two_objects()
    # The weights say where a pixel stands.
    places = torch.arange(90 * 120).reshape(90, 120).float()
    noise = torch.randint(0, 60, sample.image.shape, dtype=torch.uint8)
    marked = Sample(sample.image // 2 + noise, sample.target, "marked", places)
    boxes = [tuple(map(int, box)) for box in propose_regions(marked.image)]
    objects = [(10, 20, 50, 50), (60, 30, 80, 50)]
    expected = {box for box in boxes if max(iou(box, one) for one in objects) >= 0.3}
    assert 1 < len(expected) < len(boxes)
    seen = set()
    for index in range(300):
        crop = ProposalCrop(overlap=0.3, enlarged=1.0)(marked, generator_for(0, 0, index))
        assert crop.pixel_weights is not None
        top, left = divmod(int(crop.pixel_weights[0, 0]), 120)
        bottom, right = top + crop.size.height, left + crop.size.width
        assert torch.equal(crop.target.labels, sample.target.labels[top:bottom, left:right])
        seen.add((left, top, right, bottom))
    assert seen == expected


def test_clear_objects_are_found_and_enlarged():
    sample = two_objects()
    houses = 0
    for index in range(100):
        crop = ProposalCrop(enlarged=1.5, overlap=0.9)(sample, generator_for(0, 0, index))
        expected = (45, 60) if crop.size.width > 40 else (30, 30)
        assert all(abs(got - side) <= 3 for got, side in zip(crop.size, expected, strict=True))
        # Other objects keep their labels.
        assert bool((crop.target.labels == 3).any()) or expected == (30, 30)
        houses += expected == (45, 60)
    # The categories are drawn alike.
    assert 30 < houses < 70


def test_proposals_are_remembered_by_pixels_and_options(monkeypatch):
    calls = []

    def find(image):
        calls.append(image)
        return propose_regions(image)

    monkeypatch.setattr(proposal_crop, "propose_regions", find)
    monkeypatch.setattr(proposal_crop, "_remembered", {})
    monkeypatch.setattr(proposal_crop, "_MOST_REMEMBERED", 2)
    sample = two_objects()
    other = Sample(255 - sample.image, sample.target, "objects")
    for index in range(4):
        crop = ProposalCrop()(sample, generator_for(0, 0, index))
        again = ProposalCrop()(sample, generator_for(0, 0, index))
        assert torch.equal(crop.image, again.image)
    assert len(calls) == 1
    ProposalCrop()(other, generator_for(0, 0, 0))
    assert len(calls) == 2
    ProposalCrop(overlap=0.6)(sample, generator_for(0, 0, 0))
    assert len(calls) == 3
    # Only two are remembered, and the first was forgotten.
    ProposalCrop()(other, generator_for(0, 0, 0))
    assert len(calls) == 3
    ProposalCrop()(sample, generator_for(0, 0, 0))
    assert len(calls) == 4


def test_without_such_a_proposal_the_window_lies_around_an_object():
    labels = torch.zeros(60, 80, dtype=torch.uint8)
    labels[20:26, 30:41] = 3
    flat = Sample(torch.full((3, 60, 80), 90, dtype=torch.uint8), LabelMap(labels, TAXONOMY), "a")
    crop = ProposalCrop()(flat, np.random.default_rng(0))
    around = ObjectCrop(others="keep")(flat, np.random.default_rng(0))
    assert torch.equal(crop.target.labels, around.target.labels)
    assert crop.size == (7, 13)
    assert ProposalCrop(smallest_px=100)(flat, np.random.default_rng(0)) is flat
