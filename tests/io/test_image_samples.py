"""Image files with their own depth and channels."""

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from tests.support.odd_images import pillow_images, png_images, tiff_images

from segscape.io.image_files import read_image
from segscape.io.image_samples import read_samples
from segscape.structures import ImageFileError

COLORS = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)


@pytest.mark.parametrize("build", [png_images, tiff_images, pillow_images])
def test_rounded_to_bytes_it_is_what_read_image_gives(build, tmp_path):
    path, deep = tmp_path / "image", 0
    for odd in build():
        if "RGBX" in odd.name:  # what X measures is left to the method
            continue
        path.write_bytes(odd.data)
        samples, image = read_samples(path), read_image(path)
        assert samples.shape[0] in (1, 3), odd.name
        full = {torch.uint8: 255.0, torch.uint16: 65535.0, torch.float32: 1.0}[samples.dtype]
        # Read whole before it is rounded, transparency comes out up to 1.5 steps apart.
        steps = 255 * samples.double() / full - image.double()
        assert float(steps.abs().max()) <= (0 if samples.dtype == torch.uint8 else 1.51), odd.name
        deep += samples.dtype != torch.uint8
    assert deep > 0 or build is pillow_images


def test_16_bits_stay(tmp_path):
    values = COLORS.astype(np.uint16) * 200 + 7
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(values))
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    Image.fromarray(np.ascontiguousarray(values[..., 0])).save(tmp_path / "grey.png")
    for name in ("a.png", "a.tif"):
        found = read_samples(tmp_path / name)
        assert found.dtype == torch.uint16
        assert np.array_equal(found.permute(1, 2, 0).numpy(), values)
    found = read_samples(tmp_path / "grey.png")
    assert found.shape == (1, 6, 9)
    assert np.array_equal(found[0].numpy(), values[..., 0])


def test_floats_and_signed_samples_stay(tmp_path):
    path = tmp_path / "a.tif"
    for dtype in (np.float16, np.float32, np.float64):
        tifffile.imwrite(path, (COLORS / 255).astype(dtype), photometric="rgb")
        found = read_samples(path)
        assert found.dtype == torch.float32
        assert np.allclose(found.permute(1, 2, 0).numpy(), COLORS / 255, atol=1e-3)
    tifffile.imwrite(path, np.array([[0, 5, 32767]], np.int16), photometric="minisblack")
    assert read_samples(path)[0, 0].tolist() == [0, 5, 32767]


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
@pytest.mark.parametrize("channels", [5, 200])
def test_more_channels_than_colours_are_all_read(planes, photometric, channels, tmp_path):
    values = np.random.default_rng(1).integers(0, 65536, (6, 9, channels)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        values if planes == "contig" else np.moveaxis(values, 2, 0),
        photometric=photometric,
        planarconfig=planes,
        extrasamples=["unspecified"] * (channels - (3 if photometric == "rgb" else 1)),
    )
    found = read_samples(tmp_path / "a.tif")
    assert np.array_equal(found.permute(1, 2, 0).numpy(), values)


def test_transparency_is_laid_over_white_in_full_depth(tmp_path):
    values = np.array([[[1000, 2000, 3000, 65535], [1000, 2000, 3000, 0]]], np.uint16)
    half = np.array([[[0, 65535, 40000, 32768]]], np.uint16)
    for name, pixels in (("ends", values), ("half", half)):
        (tmp_path / f"{name}.png").write_bytes(imagecodecs.png_encode(pixels))
    found = read_samples(tmp_path / "ends.png")
    assert found[:, 0, 0].tolist() == [1000, 2000, 3000]
    assert found[:, 0, 1].tolist() == [65535] * 3
    expected = [round((value * 32768 + 65535 * 32767) / 65535) for value in (0, 65535, 40000)]
    assert read_samples(tmp_path / "half.png")[:, 0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.array([[-3, 5]], np.int16), "below 0, down to -3"),
        (np.array([[0, 70000]], np.uint32), "range from black to white is unknown"),
        (np.array([[0.0, 4095.0]], np.float32), r"expected \[0, 1\]: scale them"),
        (np.array([[0.0, np.nan]], np.float32), "holds 1 values that are nan: fill them first"),
    ],
)
def test_samples_of_unknown_range_are_refused(samples, said, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="minisblack")
    with pytest.raises(ImageFileError, match=said):
        read_samples(tmp_path / "a.tif")
