"""Where windows lie."""

from collections import Counter

import numpy as np
import torch
from tests.support.samples import TAXONOMY

from segscape.structures import LabelMap, Size
from segscape.transforms.crop_choice import CropChoice


def test_anywhere_means_every_place_alike() -> None:
    labels = LabelMap(torch.zeros(6, 5, dtype=torch.uint8), TAXONOMY)
    stream = np.random.default_rng(0)
    places = Counter(CropChoice()(labels, Size(4, 4), stream) for _ in range(3000))
    assert set(places) == {(top, left) for top in range(3) for left in range(2)}
    assert min(places.values()) > 400


def test_a_larger_window_lies_anywhere_around_the_image() -> None:
    labels = LabelMap(torch.zeros(3, 8, dtype=torch.uint8), TAXONOMY)
    stream = np.random.default_rng(0)
    for choice in (CropChoice(), CropChoice(rare_class_probability=1.0)):
        places = {choice(labels, Size(5, 8), stream) for _ in range(200)}
        assert places == {(-2, 0), (-1, 0), (0, 0)}


def test_a_single_rare_pixel_is_found() -> None:
    ids = torch.zeros(200, 300, dtype=torch.uint8)
    ids[150, 40] = 3
    labels, stream = LabelMap(ids, TAXONOMY), np.random.default_rng(1)
    window = Size(21, 31)
    found = 0
    for _ in range(300):
        top, left = CropChoice(rare_class_probability=1.0)(labels, window, stream)
        assert 0 <= top <= 179
        assert 0 <= left <= 269
        found += bool((ids[top : top + 21, left : left + 31] == 3).any())
    # Weights 59999^-1/2 and 1: the pixel is the centre in 99.6 % of the draws.
    assert found > 280
    anywhere = sum(
        bool((ids[top : top + 21, left : left + 31] == 3).any())
        for top, left in (CropChoice()(labels, window, stream) for _ in range(300))
    )
    assert anywhere < 30


def test_one_sided_windows_are_avoided() -> None:
    ids = torch.zeros(100, 100, dtype=torch.uint8)
    ids[:, 80:] = 1
    ids[:, :10] = 255
    labels, stream = LabelMap(ids, TAXONOMY), np.random.default_rng(2)
    choice = CropChoice(max_category_share=0.75)
    sides = 0
    for _ in range(200):
        top, left = choice(labels, Size(40, 40), stream)
        counts = np.bincount(ids[top : top + 40, left : left + 40].flatten(), minlength=256)
        sides += bool(counts[1] / (counts[0] + counts[1]) >= 0.25)
    # One draw meets it for left > 50, 10 of 61: ten tries miss with 0.836^10 = 17 %.
    assert sides > 140


def test_all_ignored_is_no_obstacle() -> None:
    labels = LabelMap(torch.full((9, 9), 255, dtype=torch.uint8), TAXONOMY)
    choice = CropChoice(rare_class_probability=1.0, max_category_share=0.5)
    top, left = choice(labels, Size(4, 4), np.random.default_rng(0))
    assert 0 <= top <= 5
    assert 0 <= left <= 5
