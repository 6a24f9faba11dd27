import itertools
from typing import Any

import numpy as np
import pytest
import torch

from segscape.classical.graph_cut import (
    InteractiveCut,
    _Costs,
    _Problem,
    graph_cut,
    volume_cut,
)
from segscape.classical.marked_colors import MarkedHistograms, MarkedMixtures
from segscape.ops.contrast import boundary_costs, mean_sharpness, neighbours
from segscape.ops.max_flow import EIGHT, FOUR, SIX, GridCut
from segscape.structures import MethodError


def two_halves(channels=3, height=12, width=16, dtype=torch.uint8):
    """Dark on the left, bright on the right, with noise; a mark on each."""
    rng = np.random.default_rng(0)
    image = np.full((channels, height, width), 0.3)
    image[:, :, width // 2 :] = 0.7
    image += rng.normal(0, 0.03, image.shape)
    marks = torch.full((height, width), 255, dtype=torch.uint8)
    marks[height // 2, 1] = 0
    marks[height // 2, -2] = 1
    scaled = torch.from_numpy(image.clip(0, 1))
    scale = {torch.uint8: 255, torch.uint16: 65535}.get(dtype, 1)
    return (scaled * scale).to(dtype), marks


def energy_by_hand(problem, mask, edges, offsets):
    background, object_ = problem._regional
    value = np.where(mask, object_, background).sum(dtype=float)
    for edge, (start, end) in zip(edges, neighbours(mask.shape, offsets), strict=True):
        value += edge[start][mask[start] != mask[end]].sum(dtype=float)
    return value


@pytest.mark.parametrize("regional", ["mixture", "histogram"])
@pytest.mark.parametrize(
    ("shape", "offsets"), [((3, 4), FOUR), ((3, 4), EIGHT), ((2, 2, 3), SIX), ((1, 9), EIGHT)]
)
def test_the_least_energy_of_all_labellings_that_keep_the_marks(regional, shape, offsets):
    rng = np.random.default_rng(4)
    pixels = rng.random((2, *shape)).astype(np.float32)
    marks = np.full(shape, 255, np.uint8)
    marks.flat[[0, 1]] = 0
    marks.flat[[-1, -2]] = 1
    learned = (
        MarkedHistograms(pixels, marks)
        if regional == "histogram"
        else MarkedMixtures(pixels, marks, components=2, seed=0)
    )
    costs = _Costs(learned, 0.3, mean_sharpness(pixels, offsets=offsets), offsets)
    problem = _Problem(pixels, marks, costs)
    mask, energy = problem.solve()
    edges = costs.boundary(pixels)
    assert energy == pytest.approx(energy_by_hand(problem, mask, edges, offsets), rel=1e-5)
    least = min(
        energy_by_hand(problem, candidate, edges, offsets)
        for bits in itertools.product([False, True], repeat=marks.size)
        if (candidate := np.array(bits).reshape(shape))[marks == 1].all()
        and not candidate[marks == 0].any()
    )
    assert energy == pytest.approx(least, rel=1e-5)
    assert mask[marks == 1].all()
    assert not mask[marks == 0].any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
@pytest.mark.parametrize("channels", [1, 3, 200])
@pytest.mark.parametrize("neighbors", [4, 8])
def test_two_halves(dtype, channels, neighbors):
    image, marks = two_halves(channels, dtype=dtype)
    # One mark says little about the spread of colours, so let boundaries decide.
    mask = graph_cut(image, marks, regional_weight=0.0, neighbors=neighbors).mask
    assert mask[:, 8:].all()
    assert not mask[:, :8].any()


def test_new_marks_go_on_to_what_all_marks_give():
    image, marks = two_halves()
    marks[2:4, :4], marks[2:4, 12:] = 0, 1
    session = InteractiveCut(image, marks)
    more = torch.full_like(marks, 255)
    more[8:10, 9:12], more[0, 0] = 0, 1
    added = session.add(more)
    problem = session._problem
    # The same models, from the start.
    cold = _Problem.__new__(_Problem)
    cold.__dict__.update(problem.__dict__)
    edges = boundary_costs((image.float() / 255).numpy())
    cold._cut = GridCut(problem._source, problem._sink, edges)
    mask, energy = cold.solve()
    assert (added.mask.numpy() == mask).all()
    assert added.energy == pytest.approx(energy, rel=1e-6)
    assert not added.mask[8:10, 9:12].any()
    assert added.mask[0, 0]
    assert session.result is added


def test_a_later_mark_counts():
    image, marks = two_halves()
    session = InteractiveCut(image, marks)
    more = torch.full_like(marks, 255)
    more[6, 1] = 1
    assert not session.result.mask[6, 1]
    assert session.add(more).mask[6, 1]


def test_a_volume():
    image, marks = two_halves()
    volume = image[:, None].expand(-1, 4, -1, -1)
    deep = torch.full((4, *marks.shape), 255, dtype=torch.uint8)
    deep[2] = marks
    mask = volume_cut(volume, deep, regional_weight=0.0).mask
    assert mask[:, :, 8:].all()
    assert not mask[:, :, :8].any()


def test_a_constant_image_and_a_single_row():
    marks = torch.full((1, 7), 255, dtype=torch.uint8)
    marks[0, 0], marks[0, 6] = 1, 0
    for regional in ("mixture", "histogram"):
        mask = graph_cut(torch.zeros(3, 1, 7), marks, regional=regional).mask
        assert mask.tolist() == [[True] + [False] * 6]


def test_sigma_and_weight_say_what_counts():
    image, marks = two_halves(1)
    faint = graph_cut(image, marks, regional_weight=0.0, sigma=10.0)
    assert faint.mask.sum() == 1
    assert faint.energy == pytest.approx(4 + 4 / 2**0.5, rel=1e-2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"marks": torch.full((12, 16), 255, dtype=torch.uint8)}, "no mark for the background"),
        ({"marks": torch.zeros((12, 16), dtype=torch.uint8)}, "no mark for the object"),
        ({"marks": torch.full((12, 16), 7, dtype=torch.uint8)}, "value 7, expected 0"),
        ({"marks": torch.zeros((5, 5), dtype=torch.uint8)}, "one mark per pixel"),
        ({"image": torch.full((3, 12, 16), torch.nan)}, "nan or infinite"),
        ({"image": torch.zeros((4, 12, 16)), "regional": "histogram"}, 'use "mixture"'),
        ({"regional_weight": -1.0}, "expected 0 or more"),
        ({"sigma": 0.0}, "expected above 0"),
        ({"neighbors": 6}, "expected 4 or 8"),
        ({"components": 0}, "expected 1 to 100"),
    ],
)
def test_what_is_refused(change, message):
    image, marks = two_halves()
    parts: dict[str, Any] = {"image": image, "marks": marks, **change}
    with pytest.raises(MethodError, match=message):
        graph_cut(**parts)


def disk_scene(side=150):
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    disk = (y - 0.5 * side) ** 2 + (x - 0.4 * side) ** 2 < (0.3 * side) ** 2
    noise = torch.randn(3, side, side, generator=torch.Generator().manual_seed(0))
    image = torch.where(disk, 0.7, 0.3) + 0.05 * noise
    marks = torch.full((side, side), 255, dtype=torch.uint8)
    marks[70:80, 40:70], marks[:6], marks[:, -6:] = 1, 0, 0
    return image, disk, marks


@pytest.mark.parametrize("options", [{}, {"regional": "histogram", "neighbors": 4}])
def test_coarse_to_fine_is_close_to_full_size_and_small_images_are_cut_at_once(options):
    image, disk, marks = disk_scene()
    full = graph_cut(image, marks, coarse_to_fine=1, **options)
    fast = graph_cut(image, marks, coarse_to_fine=3, **options)
    assert float((fast.mask & disk).sum() / (fast.mask | disk).sum()) > 0.98
    assert float((fast.mask == full.mask).float().mean()) > 0.995
    assert fast.energy == pytest.approx(full.energy, rel=1e-3)
    assert fast.mask[marks == 1].all()
    assert not fast.mask[marks == 0].any()
    assert torch.equal(graph_cut(image, marks, **options).mask, full.mask)


def test_the_energy_in_strips_is_that_of_the_whole():
    image, _, marks = disk_scene(90)
    marks[40:50, 30:40] = 1
    tall = image.repeat(1, 6, 1)
    tall_marks = torch.full((540, 90), 255, dtype=torch.uint8)
    tall_marks[:90] = marks
    full = graph_cut(tall, tall_marks, sigma=0.1, coarse_to_fine=1)
    fast = graph_cut(tall, tall_marks, sigma=0.1, coarse_to_fine=2)
    assert float((fast.mask == full.mask).float().mean()) > 0.99
    assert fast.energy == pytest.approx(full.energy, rel=1e-3)


def test_marks_of_both_kinds_in_one_block():
    image, marks = two_halves()
    marks[:] = 255
    marks[6, 8], marks[6, 7] = 1, 0
    mask = graph_cut(image, marks, regional_weight=0.0, coarse_to_fine=16).mask
    assert mask[6, 8]
    assert not mask[6, 7]


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_extreme_values_are_refused_with_the_cure(scale):
    image, marks = two_halves()
    with pytest.raises(MethodError, match="divide it by"):
        graph_cut(image.float() * scale, marks)
