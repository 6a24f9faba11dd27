"""What all superpixel methods must hold, and what is each one's own."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label
from torch import Tensor

from segscape.classical.etps import etps
from segscape.classical.felzenszwalb import felzenszwalb
from segscape.classical.slic import slic
from segscape.classical.watershed import watershed
from segscape.structures import MethodError, Partition

COUNTED: dict[str, Callable[..., Partition]] = {"slic": slic, "etps": etps, "watershed": watershed}
METHODS = {**COUNTED, "felzenszwalb": felzenszwalb}


def noise(channels: int, height: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = (channels, height, width)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", COUNTED)
@settings(max_examples=25)
@given(
    st.integers(1, 4),
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(1, 1200),
    st.sampled_from([0.01, 1.0, 40.0]),
    st.integers(0, 99),
)
def test_the_count_is_exact_and_all_are_connected(name, channels, height, width, count, m, seed):
    image = noise(channels, height, width, seed)
    partition = COUNTED[name](image, superpixels=count, compactness=m)
    assert partition.count == min(count, height * width)
    pieces = np.asarray(label(partition.regions.numpy(), background=-1, connectivity=1))
    assert pieces.max() == partition.count


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 200), st.integers(0, 99))
@settings(max_examples=15)
def test_slico_keeps_the_count_too(height, width, count, seed):
    partition = slic(noise(3, height, width, seed), superpixels=count, adaptive=True)
    assert partition.count == min(count, height * width)
    pieces = np.asarray(label(partition.regions.numpy(), background=-1, connectivity=1))
    assert pieces.max() == partition.count


@pytest.mark.parametrize("name", COUNTED)
def test_they_follow_a_square(name):
    image = torch.zeros(3, 60, 60, dtype=torch.uint8)
    image[:, 13:47, 11:42] = 200
    regions = COUNTED[name](image, superpixels=36).regions.long().flatten()
    counts = torch.bincount(2 * regions + (image[0] > 0).flatten(), minlength=72).view(36, 2)
    # Pixels on the wrong side, whichever side each region belongs to: within a pixel of the rim, of
    # which the square has 130.
    assert int(counts.amin(1).sum()) < 130


@pytest.mark.parametrize("name", METHODS)
def test_types_of_images_do_not_matter(name):
    image = noise(3, 20, 24, 0)
    expected = METHODS[name](image).regions
    wide = image.to(torch.int32) * 257
    for same in (wide, wide.to(torch.uint16), image.float() / 255, image.double() / 255):
        assert torch.equal(METHODS[name](same).regions, expected)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 50), (2, 50, 1), (200, 9, 8), (3, 16, 16)])
@pytest.mark.parametrize("value", [0, 255])
def test_constant_images_and_lines_give_a_partition(name, shape, value):
    image = torch.full(shape, value, dtype=torch.uint8)
    partition = METHODS[name](image)
    assert partition.regions.shape == shape[1:]
    if name == "felzenszwalb":
        assert partition.count == 1


def test_watershed_of_a_constant_image_is_one_region():
    assert watershed(torch.zeros(3, 9, 9), superpixels=None).count == 1


@pytest.mark.parametrize("name", METHODS)
def test_nan_and_wrong_types_are_refused(name):
    image = torch.rand(3, 8, 8)
    image[0, 0, 0] = torch.nan
    with pytest.raises(MethodError, match=r"1 values that are nan"):
        METHODS[name](image)
    with pytest.raises(MethodError, match=r"torch.int64"):
        METHODS[name](torch.zeros(3, 8, 8, dtype=torch.int64))
    with pytest.raises(MethodError, match="each at least 1"):
        METHODS[name](torch.zeros(3, 0, 8))


@pytest.mark.parametrize("name", METHODS)
def test_what_does_not_fit_into_memory_is_refused(name):
    image = torch.zeros(1).expand(3, 2_000_000, 2_000_000)
    with pytest.raises(MethodError, match="would need about"):
        METHODS[name](image)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("slic", {"superpixels": 0}),
        ("slic", {"compactness": 0.0}),
        ("slic", {"iterations": 0}),
        ("etps", {"superpixels": 0}),
        ("etps", {"border_weight": -1.0}),
        ("etps", {"compactness": float("nan")}),
        ("felzenszwalb", {"scale": 0.0}),
        ("felzenszwalb", {"smallest_px": 0}),
        ("felzenszwalb", {"smoothing_px": -1.0}),
        ("watershed", {"superpixels": 0}),
        ("watershed", {"compactness": -1.0}),
        ("watershed", {"marks": torch.zeros(3, 4, dtype=torch.uint8)}),
        ("watershed", {"marks": torch.full((4, 4), 255, dtype=torch.uint8)}),
        ("watershed", {"marks": torch.ones(4, 4, dtype=torch.uint8)}),
    ],
)
def test_wrong_options_are_refused(name, options):
    with pytest.raises(MethodError, match=r"expected|same size"):
        METHODS[name](torch.zeros(3, 4, 4), **options)


def test_watershed_grows_from_marks():
    image = torch.zeros(1, 20, 30)
    image[:, :, 12:] = 1
    marks = torch.full((20, 30), 255, dtype=torch.uint8)
    marks[10, 2], marks[10, 28] = 1, 0
    regions = watershed(image, marks, smoothing_px=0.0).regions
    # The ridge itself is two pixels wide.
    assert (regions[:, :11] == 1).all()
    assert (regions[:, 13:] == 0).all()
