from typing import Any

import pytest
import torch
from sklearn.cluster import MeanShift

from segscape.classical.mean_shift import mean_shift, mean_shift_filter, mean_shift_points
from segscape.ops.color import rgb_to_luv
from segscape.structures import MethodError, Partition

SMALL: Any = {"spatial_bandwidth_px": 4.0, "color_bandwidth": 10.0}


def two_squares(channels=3, dtype=torch.uint8, noise=6):
    """A bright square on a dark ground under noise, values of the type's full scale."""
    generator = torch.Generator().manual_seed(0)
    image = torch.full((channels, 24, 30), 60.0)
    image[:, 6:18, 8:22] = 180
    image += noise * torch.randn(image.shape, generator=generator)
    scale = {torch.uint8: 1, torch.uint16: 257, torch.int32: 257, torch.float32: 1 / 255}[dtype]
    return (image * scale).to(dtype)


@pytest.mark.parametrize("path_tolerance", [0.0, 0.1])
@pytest.mark.parametrize(
    ("channels", "dtype"),
    [
        (1, torch.uint8),
        (3, torch.uint8),
        (3, torch.uint16),
        (3, torch.int32),
        (3, torch.float32),
        (2, torch.float32),
        (7, torch.uint8),
        (200, torch.float32),
    ],
)
def test_a_square_and_its_ground_are_two_regions(channels, dtype, path_tolerance):
    # More channels, more noise: distances grow with their root.
    found = mean_shift(
        two_squares(channels, dtype),
        spatial_bandwidth_px=4.0,
        color_bandwidth=10.0 * max(1.0, (channels / 3) ** 0.5),
        smallest_region_px=10,
        path_tolerance=path_tolerance,
    )
    assert found.count == 2
    assert found.regions[12, 15] != found.regions[0, 0]
    assert int((found.regions == found.regions[12, 15]).sum()) == 12 * 14


def test_filtering_takes_noise_away_and_leaves_the_edge():
    image = two_squares(noise=6)
    clean = 255 * rgb_to_luv(two_squares(noise=0).float() / 255) / 255
    found = mean_shift_filter(image, **SMALL)
    before = (rgb_to_luv(image.float() / 255) - clean).square().mean().sqrt()
    after = (found - clean).square().mean().sqrt()
    assert after < before / 3


def test_colors_come_in_the_units_that_were_asked_for():
    image = torch.full((3, 5, 5), 255, dtype=torch.uint8)
    assert torch.allclose(mean_shift_filter(image, color_space="rgb"), torch.tensor(255.0))
    assert float(mean_shift_filter(image)[0].mean()) == pytest.approx(100, abs=0.01)


def test_the_default_is_near_the_exact_result():
    image = two_squares()
    exact = mean_shift_filter(image, path_tolerance=0.0, **SMALL)
    assert (mean_shift_filter(image, **SMALL) - exact).abs().mean() < 0.05 * 10


@pytest.mark.parametrize("shape", [(3, 1, 40), (3, 40, 1), (1, 1, 1), (1, 7, 5)])
def test_a_constant_image_is_one_region(shape):
    found = mean_shift(torch.full(shape, 9, dtype=torch.uint8))
    assert isinstance(found, Partition)
    assert found.count == 1


def test_a_row_of_two_colors_is_two_regions():
    row = torch.cat([torch.zeros(3, 1, 60), torch.ones(3, 1, 80)], dim=2)
    assert mean_shift(row).regions[0].bincount().tolist() == [60, 80]


def test_regions_below_the_smallest_are_joined():
    image = two_squares(noise=3)
    image[:, 2, 2] = 255
    assert mean_shift(image, smallest_region_px=1, **SMALL).count == 3
    assert mean_shift(image, smallest_region_px=10, **SMALL).count == 2
    assert mean_shift(image, smallest_region_px=10_000, **SMALL).count == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_bandwidth_px": 0.0}, "spatial_bandwidth_px=0.0, expected above 0"),
        ({"color_bandwidth": -1.0}, "color_bandwidth=-1.0, expected above 0"),
        ({"color_bandwidth": float("nan")}, "color_bandwidth=nan"),
        ({"path_tolerance": 1.5}, "path_tolerance=1.5, expected 0 to 1"),
        ({"stop_below": -1.0}, "stop_below=-1.0"),
        ({"most_steps": 0}, "most_steps=0, expected 1 or more"),
        ({"smallest_region_px": 0}, "smallest_region_px=0, expected 1 or more"),
        ({"color_bandwidth": 1e-9}, "choose a larger one"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(MethodError, match=message):
        mean_shift(two_squares(), **options)


def test_nan_is_refused():
    image = two_squares(dtype=torch.float32)
    image[0, 0, 0] = float("nan")
    with pytest.raises(MethodError, match="nan or infinite"):
        mean_shift(image)


def test_an_image_without_pixels_is_refused():
    with pytest.raises(MethodError, match="shape"):
        mean_shift(torch.zeros(3, 0, 5))


def test_an_image_beyond_the_memory_is_refused_before_it_is_touched():
    image = torch.zeros(1, 1, 1, dtype=torch.uint8).expand(3, 3_000_000, 1_000_000)
    with pytest.raises(MethodError, match=r"mean shift would need about .* GB"):
        mean_shift(image)


def test_points_are_clustered_by_the_modes_they_reach():
    generator = torch.Generator().manual_seed(0)
    groups = torch.tensor([[0.0, 0.0], [1000.0, 0.0], [1000.0, 8.0]]).repeat_interleave(
        torch.tensor([30, 50, 40]), 0
    )
    points = groups + 0.4 * torch.randn(groups.shape, generator=generator)
    found = mean_shift_points(points, bandwidth=2.0)
    assert found.labels.bincount().tolist() == [50, 40, 30]
    assert found.labels[:30].eq(2).all()
    assert torch.allclose(found.modes, groups[[30, 80, 0]], atol=0.4)
    theirs = MeanShift(bandwidth=2.0).fit(points.numpy())
    assert torch.allclose(found.modes, torch.tensor(theirs.cluster_centers_).float(), atol=1e-2)


@pytest.mark.parametrize(
    ("points", "bandwidth", "message"),
    [
        (torch.zeros(0, 2), 1.0, "at least one"),
        (torch.zeros(3, 2), 0.0, "bandwidth=0.0"),
        (torch.full((3, 2), float("inf")), 1.0, "nan or infinite"),
        (torch.tensor([[0.0], [1e9]]), 1.0, "choose a larger one"),
    ],
)
def test_points_that_cannot_be_clustered_are_refused(points, bandwidth, message):
    with pytest.raises(MethodError, match=message):
        mean_shift_points(points, bandwidth=bandwidth)


def test_one_point_is_a_cluster():
    found = mean_shift_points(torch.tensor([[3.0, 4.0]]), bandwidth=1.0)
    assert found.labels.tolist() == [0]
    assert found.modes.tolist() == [[3.0, 4.0]]
