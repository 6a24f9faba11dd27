"""Windows around objects, for networks that are applied to proposals."""

import numpy as np
import pytest
import torch
from tests.support.samples import TAXONOMY, drawn_sample, picture_of

from segscape.structures import LabelMap, Sample, StructureError
from segscape.transforms import ObjectCrop, generator_for


def two_objects() -> Sample[LabelMap]:
    """A house of 10 x 20, two trees of 5 x 5, void beside; the rest is sky (0)."""
    labels = torch.zeros(60, 80, dtype=torch.uint8)
    labels[20:30, 30:50] = 3
    labels[12:17, 32:37] = 4
    labels[50:55, 70:75] = 4
    labels[31:34, 30:50] = 255
    return Sample(picture_of(labels), LabelMap(labels, TAXONOMY), "objects")


def test_each_object_is_drawn_and_its_box_enlarged():
    sample = two_objects()
    seen: set[tuple[int, ...]] = set()
    for index in range(60):
        crop = ObjectCrop()(sample, generator_for(0, 0, index))
        ids = tuple(sorted(set(crop.target.labels.unique().tolist()) - {0, 255}))
        seen.add((*crop.size, *ids))
    # 1.2 x (10, 20) and 1.2 x (5, 5); one object in each window.
    assert seen == {(12, 24, 3), (6, 6, 4)}


def test_the_window_is_centred():
    crop = ObjectCrop(enlarged=2.0)(two_objects(), generator_for(0, 0, 0))
    ids = [category for category in (3, 4) if bool((crop.target.labels == category).any())]
    rows, columns = torch.nonzero(crop.target.labels == ids[0], as_tuple=True)
    for places, side in zip((rows, columns), crop.size, strict=True):
        before, behind = int(places.min()), side - 1 - int(places.max())
        assert abs(before - behind) <= 1


def test_others_become_background_and_void_stays():
    sample = two_objects()
    for index in range(40):
        first = ObjectCrop(enlarged=3.0)(sample, generator_for(1, 0, index)).target.labels
        second = ObjectCrop(enlarged=3.0, others="keep")(sample, generator_for(1, 0, index))
        kept = second.target.labels
        assert first.shape == kept.shape
        assert len(set(first.unique().tolist()) - {0, 255}) == 1
        assert torch.equal(first == 255, kept == 255)
        assert torch.equal(
            second.image, ObjectCrop(enlarged=3.0)(sample, generator_for(1, 0, index)).image
        )
        if bool((first == 3).any()):
            assert bool((kept == 4).any())


def test_small_objects_and_plain_images():
    sample = two_objects()
    for index in range(20):
        crop = ObjectCrop(smallest_px=30)(sample, generator_for(0, 0, index))
        assert bool((crop.target.labels == 3).any())
    assert ObjectCrop(smallest_px=500)(sample, np.random.default_rng(0)) is sample
    labels = torch.zeros(5, 5, dtype=torch.uint8)
    plain = Sample(picture_of(labels), LabelMap(labels, TAXONOMY), "plain")
    assert ObjectCrop()(plain, np.random.default_rng(0)) is plain


def test_categories_are_drawn_alike_however_large():
    sample = two_objects()
    houses = sum(
        bool((ObjectCrop()(sample, generator_for(2, 0, index)).target.labels == 3).any())
        for index in range(300)
    )
    assert 110 < houses < 190


def test_weights_go_along():
    sample = drawn_sample(60, 70)
    crop = ObjectCrop(others="keep")(sample, generator_for(0, 0, 3))
    assert crop.pixel_weights is not None
    assert crop.pixel_weights.shape == crop.target.labels.shape


@pytest.mark.parametrize(
    "options",
    [{"background": -1}, {"enlarged": 0.5}, {"others": "drop"}, {"smallest_px": 0}],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(StructureError, match="transform object_crop"):
        ObjectCrop(**options)
