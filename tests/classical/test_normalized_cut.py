from typing import Any

import numpy as np
import pytest
import torch

from segscape.classical.normalized_cut import PixelGraph, image_spectrum, normalized_cut
from segscape.structures import MethodError, Partition

WAYS = (
    {},
    {"cut": "recursive"},
    {"assignment": "k-means"},
    {"assignment": "discretization"},
    {"assignment": "cluster-qr"},
)


def four_colors(height: int = 40, width: int = 60) -> torch.Tensor:
    """Four quarters of different colours with a little noise."""
    image = torch.empty(3, height, width)
    colors = torch.tensor([[0.8, 0.2, 0.2], [0.2, 0.7, 0.2], [0.2, 0.2, 0.8], [0.8, 0.8, 0.2]])
    for i, color in enumerate(colors):
        rows = slice(0, height // 2) if i < 2 else slice(height // 2, None)
        columns = slice(0, width // 2) if i % 2 == 0 else slice(width // 2, None)
        image[:, rows, columns] = color[:, None, None]
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return ((image + 0.02 * noise).clamp(0, 1) * 255).to(torch.uint8)


def agreement(found: Partition, height: int = 40, width: int = 60) -> float:
    """The share of pixels in the quarter that holds most of their region."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    truth = (rows >= height // 2) * 2 + (columns >= width // 2) * 1
    best = sum(
        int(torch.bincount(truth[found.regions == region], minlength=4).max())
        for region in range(found.count)
    )
    return best / truth.numel()


@pytest.mark.parametrize("way", WAYS)
def test_four_colors_are_four_regions(way):
    found = normalized_cut(four_colors(), regions=4, **way)
    assert found.count == 4
    assert agreement(found) > 0.94


@pytest.mark.parametrize(
    "graph",
    [
        {"brightness_bandwidth": 5.0, "color_bandwidth": 5.0},
        {"texture_bandwidth": 0.02, "color_bandwidth": 5.0, "spatial_bandwidth_px": 4.0},
    ],
)
def test_brightness_color_and_texture_do_without_contours(graph):
    found = normalized_cut(
        four_colors(), regions=4, assignment="cluster-qr", contour_bandwidth=None, **graph
    )
    assert agreement(found) > 0.97


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(3, 12, 15, dtype=torch.uint8),
        torch.rand(1, 1, 40, generator=torch.Generator().manual_seed(0)),
        torch.rand(2, 30, 1, generator=torch.Generator().manual_seed(0)),
        four_colors(20, 20).to(torch.int32) * 257,
        four_colors(20, 20).float().repeat(67, 1, 1)[:200],
        torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(0)),
    ],
    ids=["constant", "row", "column", "sixteen bits", "200 channels", "2 x 2"],
)
def test_odd_images_have_an_answer(image, way):
    regions = min(7, image[0].numel())
    found = normalized_cut(image, regions=regions, **way)
    assert found.size == image.shape[1:]
    assert 1 <= found.count <= regions
    if way.get("assignment") != "discretization":
        assert found.count == regions


def test_regions_from_one_to_every_pixel():
    image = four_colors(10, 10)
    assert normalized_cut(image, regions=1).count == 1
    assert normalized_cut(image, regions=100).count == 100


def test_the_same_seed_gives_the_same_regions():
    image = four_colors(20, 30)
    one, other = (normalized_cut(image, regions=6, seed=3) for _ in range(2))
    assert torch.equal(one.regions, other.regions)


def test_the_spectrum_of_an_image_for_pictures():
    found = image_spectrum(four_colors(), eigenvectors=4, graph=PixelGraph(radius_px=3.0))
    assert found.vectors.shape == (4, 40, 60)
    assert found.residuals.max() <= 2e-3
    quarters = found.vectors[1:, ::20, ::30]
    assert np.abs(np.diff(quarters.reshape(3, -1))).max() > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"regions": 0}, "regions=0"),
        ({"regions": 101}, "for 100 pixels"),
        ({"radius_px": 0.5}, "radius_px=0.5"),
        ({"radius_px": 21.0}, "radius_px=21.0"),
        ({"contour_bandwidth": 0.0}, "contour_bandwidth=0.0"),
        ({"color_bandwidth": -1.0}, "color_bandwidth=-1.0"),
        ({"eigenvectors": 101}, "eigenvectors=101"),
        ({"tolerance": 0.0}, "tolerance=0.0"),
        ({"superpixels": 1}, "superpixels=1"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    given: dict[str, Any] = {"regions": 2, **options}
    with pytest.raises(MethodError, match=said):
        normalized_cut(four_colors(10, 10), **given)


def test_nan_is_refused():
    with pytest.raises(MethodError, match="nan or infinite"):
        normalized_cut(torch.full((3, 4, 4), float("nan")), regions=2)


def test_an_image_beyond_memory_is_refused():
    with pytest.raises(MethodError, match="GB are free"):
        normalized_cut(torch.zeros(1, 1, 1).expand(1, 20_000, 10_000), regions=2)
