"""What holds for every transform."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.samples import drawn_sample, noise_sample, picture_of

from segscape.structures import LabelMap, Sample
from segscape.transforms import TRANSFORMS, Transform, apply, generator_for

OPTIONS: dict[str, list[dict[str, object]]] = {
    "random_scale": [{}, {"scale": (0.3, 0.4)}, {"scale": (1.5, 3.0)}],
    "resize": [{"height": 48, "width": 71}, {"height": 1, "width": 1}],
    "random_crop": [
        {"height": 32, "width": 41},
        {"height": 90, "width": 20, "rare_class_probability": 1.0},
        {"height": 30, "width": 30, "max_category_share": 0.5},
    ],
    "random_resized_crop": [
        {"height": 60, "width": 50},
        {"height": 60, "width": 50, "scale": (0.2, 0.5)},
        {"height": 40, "width": 66, "scale": (0.5, 1.5), "cover": True, "aspect": (0.7, 1.4)},
        {"height": 33, "width": 40, "rare_class_probability": 0.5, "max_category_share": 0.7},
    ],
    "object_crop": [{"others": "keep"}, {"others": "keep", "background": 2, "smallest_px": 400}],
    "proposal_crop": [{}, {"overlap": 0.9, "background": 2, "smallest_px": 400}],
    "pad": [{"height": 80, "width": 120}],
    "horizontal_flip": [{}, {"probability": 1.0}],
    "vertical_flip": [{}, {"probability": 1.0}],
    "quarter_turns": [{}],
    "rotation": [{"degrees": 30.0}, {"degrees": 180.0, "outside": "mirror"}],
    "elastic": [{}, {"sigma_px": 3.0, "nodes": 4}],
    "color_jitter": [
        {"brightness": 0.5, "contrast": 0.5},
        {"brightness": 0.4, "contrast": 0.4, "saturation": 0.9, "hue": 0.5},
    ],
    "blur": [{}, {"sigma": (3.0, 3.0)}],
    "noise": [{}, {"sigma": (50.0, 90.0)}],
    "border_weights": [{"foreground": 0}, {"foreground": 2, "inside_cells": True}],
}
# Colours are blended over less than this many pixels: away from label borders they must be exact.
MARGIN_PX = 4
PHOTOMETRIC = {"color_jitter", "blur", "noise", "border_weights"}
CASES = [(name, options) for name, variants in OPTIONS.items() for options in variants]


def built(name: str, options: dict[str, object]) -> Transform:
    return TRANSFORMS[name](**options)


def same(one: Sample[LabelMap], other: Sample[LabelMap]) -> bool:
    if not torch.equal(one.image, other.image):
        return False
    if not torch.equal(one.target.labels, other.target.labels):
        return False
    if one.pixel_weights is None or other.pixel_weights is None:
        return one.pixel_weights is other.pixel_weights
    return torch.equal(one.pixel_weights, other.pixel_weights)


def far_from_borders(labels: torch.Tensor) -> torch.Tensor:
    """True where all labels within MARGIN_PX are the same and none is ignored."""
    window = 2 * MARGIN_PX + 1
    values = F.pad(labels.float()[None], [MARGIN_PX] * 4, mode="replicate")
    largest = F.max_pool2d(values, window, 1)[0]
    smallest = -F.max_pool2d(-values, window, 1)[0]
    return (largest == smallest) & (labels != 255)


def test_every_transform_is_tried() -> None:
    assert set(OPTIONS) == set(TRANSFORMS)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_ids_sizes_key_and_types(name: str, options: dict[str, object]) -> None:
    for seed in range(6):
        sample = drawn_sample(70, 90, seed=seed)
        changed = built(name, options)(sample, generator_for(seed, 0, 0))
        before, after = (set(s.target.labels.unique().tolist()) for s in (sample, changed))
        assert after <= before | {255}
        assert changed.key == sample.key
        assert changed.target.taxonomy is sample.target.taxonomy
        assert changed.image.dtype == torch.uint8
        assert changed.target.labels.dtype == sample.target.labels.dtype
        if "height" in options and name != "pad":
            assert tuple(changed.size) == (options["height"], options["width"])


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_generator_decides_and_nothing_is_written(
    name: str, options: dict[str, object]
) -> None:
    sample, untouched = drawn_sample(50, 64, seed=3), drawn_sample(50, 64, seed=3)
    transform = built(name, options)
    torch.manual_seed(1)
    first = transform(sample, generator_for(7, 1, 2))
    torch.manual_seed(2)
    second = transform(sample, generator_for(7, 1, 2))
    assert same(first, second)
    assert same(sample, untouched)


@pytest.mark.parametrize(
    ("name", "options"),
    # One pixel for the whole image blends all colours: nothing is far from a border.
    [case for case in CASES if case[0] not in PHOTOMETRIC and case[1].get("height") != 1],
)
def test_image_labels_and_weights_stay_together(name: str, options: dict[str, object]) -> None:
    compared = 0
    for seed in range(8):
        # Large blocks: shrunk to a third they still have an inside.
        sample = drawn_sample(120, 150, seed=seed, block=40)
        changed = built(name, options)(sample, generator_for(seed, 3, 1))
        labels = changed.target.labels
        inner = far_from_borders(labels)
        compared += int(inner.sum())
        gap = (changed.image.int() - picture_of(labels).int()).abs().amax(0)
        assert not bool((gap[inner] > 1).any())
        assert changed.pixel_weights is not None
        seen = labels != 255
        assert torch.equal(changed.pixel_weights[seen], labels[seen].float() + 1)
    assert compared > 500


@pytest.mark.parametrize(("name", "options"), [case for case in CASES if case[0] in PHOTOMETRIC])
def test_photometric_transforms_leave_the_labels(name: str, options: dict[str, object]) -> None:
    sample = drawn_sample(40, 50)
    changed = built(name, options)(sample, generator_for(0, 0, 0))
    assert torch.equal(changed.target.labels, sample.target.labels)


@pytest.mark.parametrize(("name", "options"), CASES)
@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.sampled_from([1, 3, 5]),
    seed=st.integers(0, 1000),
)
def test_tiny_images_of_any_channels(
    name: str, options: dict[str, object], height: int, width: int, channels: int, seed: int
) -> None:
    sample = noise_sample(height, width, channels=channels, seed=seed)
    changed = built(name, options)(sample, generator_for(seed, 0, 0))
    assert len(changed.image) == channels
    assert set(changed.target.labels.unique().tolist()) <= {0, 1, 2, 3, 4, 255}


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_wide_label_types_and_strided_images(name: str) -> None:
    small = drawn_sample(40, 52, channels=3)
    wide = Sample(
        small.image.permute(1, 2, 0).contiguous().permute(2, 0, 1),
        LabelMap(small.target.labels.long(), small.target.taxonomy),
        small.key,
        small.pixel_weights,
    )
    transform = built(name, OPTIONS[name][0])
    one, other = (transform(s, generator_for(4, 4, 4)) for s in (small, wide))
    assert torch.equal(one.target.labels.long(), other.target.labels)
    assert int((one.image.int() - other.image.int()).abs().max()) <= 1


def test_weights_stay_away_when_there_are_none() -> None:
    for name, options in CASES:
        changed = built(name, options)(noise_sample(20, 20), np.random.default_rng(0))
        assert (changed.pixel_weights is None) == (name != "border_weights")


def test_a_chain_is_its_parts_in_order() -> None:
    sample = drawn_sample(60, 60)
    parts = [built("random_crop", {"height": 40, "width": 40}), built("quarter_turns", {})]
    stream = generator_for(1, 2, 3)
    assert same(
        apply(parts, sample, generator_for(1, 2, 3)), parts[1](parts[0](sample, stream), stream)
    )


def test_options_come_back_as_given() -> None:
    for name, options in CASES:
        transform = built(name, options)
        for option, value in options.items():
            assert getattr(transform, option) == value
