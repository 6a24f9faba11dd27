import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from tests.support.odd_images import (
    ORIENTATIONS,
    OddImage,
    exif_block,
    pillow_images,
    png_bytes,
    png_chunk,
    png_images,
    shown,
    tiff_bytes,
    tiff_images,
)

from segscape.io.image_files import find_images, image_size, read_image, write_image
from segscape.structures import ImageFileError, OutputError, SegscapeWarning, Size


def check(odd: OddImage, path: Path) -> None:
    path.write_bytes(odd.data)
    pixels = read_image(path).permute(1, 2, 0).numpy()
    assert pixels.shape == odd.expected.shape, odd.name
    assert np.array_equal(pixels, odd.expected), odd.name
    assert image_size(path) == Size(*odd.expected.shape[:2]), odd.name


@pytest.mark.parametrize("build", [png_images, tiff_images, pillow_images])
def test_matrix_of_odd_images(build, tmp_path):
    count = 0
    for odd in build():
        # The suffix lies on purpose: contents decide.
        check(odd, tmp_path / "image.jpg")
        count += 1
    assert count >= 300


@pytest.mark.parametrize("turn", ORIENTATIONS)
def test_jpeg_is_turned_upright(turn, tmp_path):
    # Blocks of 16 x 16 in flat colours survive JPEG to within a few grey values.
    rng = np.random.default_rng(1)
    blocks = rng.integers(0, 256, (2, 3, 3)).astype(np.uint8)
    stored = np.kron(blocks, np.ones((16, 16, 1), np.uint8))
    exif = b"" if turn is None else b"Exif\0\0" + exif_block(turn)
    path = tmp_path / "photo.jpg"
    Image.fromarray(stored).save(path, "JPEG", quality=100, subsampling=0, exif=exif)
    expected = shown(stored, turn)
    pixels = read_image(path).permute(1, 2, 0).numpy().astype(int)
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).max() <= 4
    assert image_size(path) == Size(*expected.shape[:2])


def test_jpeg_in_grey_and_inks(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.new("L", (8, 8), 77).save(path, quality=100)
    assert (read_image(path) == 77).all()
    # Pillow writes CMYK JPEGs as Adobe does, inverted, with Adobe's marker.
    Image.new("CMYK", (8, 8), (0, 255, 128, 51)).save(path, quality=100)
    assert b"Adobe" in path.read_bytes()
    red, green, blue = (int(v) for v in read_image(path)[:, 0, 0])
    assert abs(red - 204) <= 1
    assert green == 0
    assert abs(blue - 102) <= 1


def test_jpeg_agrees_with_a_second_decoder(tmp_path):
    rng = np.random.default_rng(2)
    picture = np.kron(rng.integers(0, 256, (5, 7, 3)), np.ones((9, 9, 1))).astype(np.uint8)
    path = tmp_path / "photo.jpg"
    Image.fromarray(picture).save(path, quality=90)
    ours = read_image(path).permute(1, 2, 0).numpy().astype(int)
    theirs = imagecodecs.jpeg_decode(path.read_bytes()).astype(int)
    assert np.abs(ours - theirs).max() <= 1


def lab_to_srgb(lightness: float, a: float, b: float) -> np.ndarray:
    """CIELab with white point D50 to sRGB, through Bradford's adaptation to D65."""
    y = (lightness + 16) / 116
    ratios = [
        t**3 if t > 6 / 29 else 3 * (6 / 29) ** 2 * (t - 4 / 29)
        for t in (y + a / 500, y, y - b / 200)
    ]
    xyz = np.array(ratios) * [0.96422, 1.0, 0.82521]
    to_linear = np.array(
        [
            [3.1338561, -1.6168667, -0.4906146],
            [-0.9787684, 1.9161415, 0.0334540],
            [0.0719453, -0.2289914, 1.4052427],
        ]
    )
    linear = np.clip(to_linear @ xyz, 0, 1)
    return 255 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def test_lab_and_ycbcr_tiff(tmp_path):
    path = tmp_path / "image.tif"
    lab = Image.new("LAB", (4, 3), (150, 148, 108))
    lab.save(path)
    # Pillow holds a and b with an offset of 128: here 20 and -20.
    point = np.array([150 * 100 / 255, 20, -20])
    expected = lab_to_srgb(*point)
    assert np.abs(read_image(path)[:, 0, 0].numpy() - expected).max() <= 3
    Image.new("YCbCr", (4, 3), (120, 128, 128)).save(path)
    assert (read_image(path) == 120).all()


def test_tiff_with_jpeg_inside(tmp_path):
    path = tmp_path / "image.tif"
    rng = np.random.default_rng(3)
    picture = np.kron(rng.integers(0, 256, (4, 5, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    Image.fromarray(picture).save(path, compression="jpeg", quality=95)
    theirs = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert np.abs(read_image(path).permute(1, 2, 0).numpy() - theirs).max() <= 2


def test_twelve_bits_are_scaled_by_what_the_file_declares(tmp_path):
    path = tmp_path / "image.tif"
    values = np.array([[0, 100, 4095]], np.uint16)
    # Declared 16 bits: dark, as documented.
    path.write_bytes(tiff_bytes(values, None, photometric="minisblack"))
    assert read_image(path)[0, 0].tolist() == [0, 0, 16]
    # Declared 12 bits, packed by hand: 000 064 FFF.
    packed = bytes([0x00, 0x00, 0x64, 0xFF, 0xF0])
    entries = [(256, 3), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1)]
    entries.append((279, len(packed)))
    ifd = struct.pack("<H", len(entries))
    ifd += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    data = packed.ljust(8, b"\0")
    path.write_bytes(b"II*\0" + struct.pack("<I", 16) + data + ifd + b"\0" * 4)
    assert read_image(path)[0, 0].tolist() == [0, 6, 255]


def test_white_is_zero_and_premultiplied(tmp_path):
    path = tmp_path / "image.tif"
    grey = np.array([[0, 10, 255]], np.uint8)
    path.write_bytes(tiff_bytes(grey, None, photometric="miniswhite"))
    assert read_image(path)[0, 0].tolist() == [255, 245, 0]
    rgba = np.array([[[10, 20, 30, 100]]], np.uint8)
    path.write_bytes(tiff_bytes(rgba, None, photometric="rgb", extrasamples=["assocalpha"]))
    assert read_image(path)[:, 0, 0].tolist() == [165, 175, 185]
    path.write_bytes(tiff_bytes(rgba, None, photometric="rgb", extrasamples=["unspecified"]))
    assert read_image(path)[:, 0, 0].tolist() == [10, 20, 30]


def test_bmp_with_a_forgotten_alpha_is_opaque(tmp_path):
    # BITMAPV4HEADER with masks for red, green, blue and alpha, all alpha bytes 0.
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 108, 1, 1, 1, 32, 3, 4, 0, 0, 0, 0) + masks + bytes(52)
    data = b"BM" + struct.pack("<IHHI", 14 + 108 + 4, 0, 0, 14 + 108) + head + bytes([3, 2, 1, 0])
    path = tmp_path / "screen.bmp"
    path.write_bytes(data)
    assert Image.open(path).mode == "RGBA"
    assert read_image(path)[:, 0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "samples",
    [
        np.array([[0, 70000]], np.uint32),
        np.array([[0, -1]], np.int16),
        np.array([[0.0, 1.5]], np.float32),
        np.array([[0.0, np.nan]], np.float32),
        np.array([[1.0, 2.0]], np.float64),
    ],
)
def test_undefined_ranges_are_refused(samples, tmp_path):
    path = tmp_path / "image.tif"
    path.write_bytes(tiff_bytes(samples, None, photometric="minisblack"))
    with pytest.raises(ImageFileError, match=r"image\.tif: holds"):
        read_image(path)


def test_floats_in_range_are_read(tmp_path):
    path = tmp_path / "image.tif"
    samples = np.array([[0.0, 0.5, 1.0]], np.float32)
    path.write_bytes(tiff_bytes(samples, None, photometric="minisblack"))
    assert read_image(path)[0, 0].tolist() == [0, 128, 255]


def test_grey_planes_without_meaning_are_refused(tmp_path):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, np.zeros((4, 5, 3), np.uint8), photometric="minisblack", planarconfig=1)
    with pytest.raises(ImageFileError, match="unknown meaning"):
        read_image(path)


@pytest.mark.parametrize("container", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_of_several_frames_with_a_warning(container, tmp_path):
    frames = [Image.new("RGB", (5, 4), color) for color in ("red", "lime", "blue")]
    path = tmp_path / "moving"
    frames[0].save(path, container, save_all=True, append_images=frames[1:], lossless=True)
    with pytest.warns(SegscapeWarning, match="moving: has several"):
        assert read_image(path)[:, 0, 0].tolist() == [255, 0, 0]


def test_pyramid_levels_are_no_frames(tmp_path):
    path = tmp_path / "slide.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((8, 8), np.uint8))
        writer.write(np.zeros((4, 4), np.uint8), subfiletype=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(path).shape == (3, 8, 8)


def test_size_limit_is_checked_before_decoding(tmp_path):
    path = tmp_path / "bomb.png"
    # 60,000 x 60,000 declared, one row of pixels inside.
    path.write_bytes(png_bytes(np.zeros((1, 8, 1), int), 1, 0, size=(60_000, 60_000)))
    with pytest.raises(ImageFileError, match=r"bomb\.png: 60000 x 60000 pixels are more than"):
        read_image(path)
    small = tmp_path / "small.png"
    small.write_bytes(png_bytes(np.zeros((10, 11, 1), int), 8, 0))
    assert read_image(small, pixel_limit=110).shape == (3, 10, 11)
    with pytest.raises(ImageFileError, match="limit of 109"):
        read_image(small, pixel_limit=109)


def test_between_pillows_limits_and_ours_no_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for suffix in ("png", "jpg", "bmp", "tif"):
        path = tmp_path / f"image.{suffix}"
        Image.new("RGB", (6, 5)).save(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_image(path).shape == (3, 5, 6)


def test_what_is_not_an_image(tmp_path):
    strangers = {
        b"": "empty",
        b"<!DOCTYPE html><html>404": "web page",
        b"\n  <html>": "web page",
        b"%PDF-1.7": "PDF",
        b"version https://git-lfs.github.com/spec/v1": "git lfs pull",
        b"\0\0\0\x18ftypheic": "HEIC",
        b"\0" * 600: "only zero bytes",
        b"hello": "not an image of a known format",
        b"8BPS\0\1": "Photoshop",
        b"%!PS-Adobe-3.0 EPSF": "not an image",
        b"SIMPLE  =                    T": "not an image",
    }
    for data, words in strangers.items():
        path = tmp_path / "photo.jpg"
        path.write_bytes(data)
        for read in (read_image, image_size):
            with pytest.raises(ImageFileError, match=words) as caught:
                read(path)
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)


def test_no_regular_files(tmp_path):
    with pytest.raises(ImageFileError, match="no such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(ImageFileError, match="is a folder"):
        read_image(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageFileError, match="not a regular file"):
        read_image(tmp_path / "pipe.png")
    with pytest.raises(ImageFileError, match="not a file name"):
        read_image("a\0b.png")
    with pytest.raises(ImageFileError, match="cannot be opened"):
        read_image(tmp_path / ("n" * 300))
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(ImageFileError, match=r"loop\.png"):
        read_image(tmp_path / "loop.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(ImageFileError, match="Permission denied"):
        read_image(path)


def test_png_without_its_end(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(png_bytes(np.zeros((4, 4, 1), int), 8, 0, end=False))
    # Pillow takes it for whole: this is why we look.
    Image.open(path).load()
    with pytest.raises(ImageFileError, match="cut off"):
        read_image(path)


def test_png_with_a_text_bomb(tmp_path):
    path = tmp_path / "image.png"
    text = png_chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 3_000_000))
    path.write_bytes(png_bytes(np.zeros((4, 4, 1), int), 8, 0, before=text))
    with pytest.raises(ImageFileError, match=r"image\.png"):
        read_image(path)


def test_damaged_exif_leaves_the_picture(tmp_path):
    path = tmp_path / "image.jpg"
    for junk in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0garbage", b"Exif\0\0"):
        Image.new("RGB", (6, 4), (9, 9, 9)).save(path, exif=junk)
        assert read_image(path).shape == (3, 4, 6)
        assert image_size(path) == Size(4, 6)


def test_result_is_owned_and_contiguous(tmp_path):
    for size in ((1, 1), (3, 2)):
        path = tmp_path / "image.png"
        Image.new("L", size, 5).save(path)
        pixels = read_image(path)
        assert pixels.is_contiguous()
        pixels += 1
        assert (pixels == 6).all()


def test_write_and_read_back(tmp_path):
    image = torch.randint(0, 256, (3, 9, 7), dtype=torch.uint8)
    write_image(tmp_path / "new" / "image.png", image)
    assert torch.equal(read_image(tmp_path / "new" / "image.png"), image)
    flat = torch.full((3, 9, 7), 90, dtype=torch.uint8)
    write_image(tmp_path / "image.JPG", flat)
    assert torch.equal(read_image(tmp_path / "image.JPG"), flat)
    with pytest.raises(OutputError, match=r"'\.gif'"):
        write_image(tmp_path / "image.gif", image)


def test_find_images(tmp_path):
    for name in ("b.png", "a.JPG", "._a.jpg", ".hidden.png", "Thumbs.db", "notes.txt", "c.tiff"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in find_images(tmp_path)] == ["a.JPG", "b.png", "c.tiff"]
    with pytest.raises(ImageFileError, match="no such folder"):
        find_images(tmp_path / "absent")
    with pytest.raises(ImageFileError, match="is a file"):
        find_images(tmp_path / "b.png")


def test_reads_from_a_path_as_text(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (2, 3)).save(stream, "PNG")
    (tmp_path / "image with spaces ü.png").write_bytes(stream.getvalue())
    assert read_image(str(tmp_path / "image with spaces ü.png")).shape == (3, 3, 2)
