"""Cut, mutated and lying files: pixels or ImageFileError, and nothing else."""

import contextlib
import io
import struct
import time
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.support.odd_images import png_bytes, png_chunk

from segscape.io.image_files import image_size, read_image
from segscape.io.mask_files import read_ids
from segscape.structures import ImageFileError, MaskFileError, SegscapeWarning

_LIMIT = 1_000_000
pytestmark = pytest.mark.filterwarnings("ignore")


def victims() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 256, (3, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    files: dict[str, bytes] = {}
    for name, container, options in (
        ("jpeg", "JPEG", {}),
        ("progressive", "JPEG", {"progressive": True}),
        ("png", "PNG", {}),
        ("webp", "WEBP", {}),
        ("webp lossless", "WEBP", {"lossless": True}),
        ("bmp", "BMP", {}),
        ("gif", "GIF", {}),
        ("tiff", "TIFF", {}),
        ("tiff lzw", "TIFF", {"compression": "tiff_lzw"}),
    ):
        stream = io.BytesIO()
        exif = Image.Exif()
        exif[274] = 6
        more = {"exif": exif} if container != "BMP" else {}
        Image.fromarray(picture).save(stream, container, **options, **more)
        files[name] = stream.getvalue()
    wide = (picture.astype(np.uint16) * 257)[..., 0]
    files["png 16"] = png_bytes(wide[..., None].repeat(3, 2), 16, 2)
    ways: dict[str, dict[str, Any]] = {
        "tiled": {"tile": (16, 16), "compression": "zlib"},
        "big": {"bigtiff": True, "compression": "zlib", "predictor": True, "rowsperstrip": 5},
    }
    for name, options in ways.items():
        stream = io.BytesIO()
        tifffile.imwrite(stream, wide, metadata=None, **options)
        files[name] = stream.getvalue()
    return files


VICTIMS = victims()


def outcome(path, data: bytes):
    """The pixels, or None when the file was refused with its name in one line."""
    path.write_bytes(data)
    started = time.monotonic()
    try:
        pixels = read_image(path, pixel_limit=_LIMIT).numpy()
    except ImageFileError as error:
        message, pixels = str(error), None
    else:
        message = str(path)
    assert str(path) in message
    assert "\n" not in message
    assert time.monotonic() - started < 5
    return pixels


@pytest.mark.parametrize("name", VICTIMS)
def test_cut_files_are_refused_or_whole(name, tmp_path):
    data = VICTIMS[name]
    path = tmp_path / "image"
    whole = outcome(path, data)
    assert whole is not None
    step = max(1, len(data) // 90)
    for length in sorted({*range(0, len(data), step), *range(max(0, len(data) - 15), len(data))}):
        pixels = outcome(path, data[:length])
        # Nothing may be filled in where bytes are missing.
        assert pixels is None or np.array_equal(pixels, whole), length


@pytest.mark.parametrize("name", VICTIMS)
def test_mutated_files_are_refused_or_read(name, tmp_path):
    data = VICTIMS[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    path = tmp_path / "image"
    whole = outcome(path, data)
    assert whole is not None
    refused = 0
    for trial in range(150):
        changed = bytearray(data)
        # Half of the changes hit the first bytes, where sizes and tables are.
        reach = min(200, len(data)) if trial % 2 else len(data)
        for _ in range(1 + trial % 4):
            changed[rng.integers(reach)] = (0, 255, 127, rng.integers(256))[rng.integers(4)]
        pixels = outcome(path, bytes(changed))
        refused += pixels is None
        if name.startswith("png") and pixels is not None:
            # Checksums cover every byte of a PNG that matters.
            assert np.array_equal(pixels, whole)
    assert refused > 0


def test_mutated_masks_give_ids_or_errors(tmp_path):
    rng = np.random.default_rng(5)
    path = tmp_path / "mask"
    for name in ("png", "png 16", "tiled", "big", "tiff", "gif", "webp lossless"):
        for _ in range(60):
            changed = bytearray(VICTIMS[name])
            changed[rng.integers(len(changed))] = rng.integers(256)
            path.write_bytes(bytes(changed))
            with contextlib.suppress(ImageFileError, MaskFileError):
                assert read_ids(path, pixel_limit=_LIMIT).ndim == 2


def test_headers_that_lie_about_the_size(tmp_path):
    path = tmp_path / "image"
    row = np.zeros((1, 8, 1), int)
    for size in ((0, 5), (5, 0), (2, 8), (1, 9), (1, 2**31 - 1), (2**31 - 1, 1), (2**32 - 1,) * 2):
        path.write_bytes(png_bytes(row, 8, 0, size=size))
        with pytest.raises(ImageFileError):
            read_image(path)
    stream = io.BytesIO()
    Image.new("RGB", (40, 30)).save(stream, "JPEG")
    data = bytearray(stream.getvalue())
    place = data.index(b"\xff\xc0") + 5
    for height, width in ((65535, 65535), (0, 40), (30, 0)):
        data[place : place + 4] = struct.pack(">HH", height, width)
        path.write_bytes(bytes(data))
        with pytest.raises(ImageFileError):
            read_image(path)
    stream = io.BytesIO()
    Image.new("RGB", (40, 30)).save(stream, "GIF")
    # The first frame is larger than the screen that the header declares.
    data = bytearray(stream.getvalue())
    place = data.index(b",", 13 + 3)
    data[place + 5 : place + 9] = struct.pack("<HH", 65535, 65535)
    assert outcome(path, bytes(data)) is None


def tiff_of(entries: list[tuple[int, int, int]], body: bytes = b"\0" * 64) -> bytes:
    ifd = struct.pack("<H", len(entries))
    ifd += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + ifd + b"\0" * 4


def test_tiff_bombs(tmp_path):
    path = tmp_path / "image.tif"

    def entries(**changes: int) -> list[tuple[int, int, int]]:
        plain = {"256": 8, "257": 8, "258": 8, "259": 1, "262": 1, "273": 8, "277": 1, "278": 8}
        plain["279"] = 64
        return [
            (int(t), 4, v) for t, v in sorted({**plain, **changes}.items(), key=lambda i: int(i[0]))
        ]

    path.write_bytes(tiff_of(entries()))
    assert read_image(path).shape == (3, 8, 8)
    for changes in (
        {"256": 2**31, "257": 2**31},
        {"277": 65535},
        {"273": 2**31},
        {"279": 2**32 - 1, "257": 1000, "278": 1000},
        {"278": 0},
        {"258": 0},
        {"258": 64},
        {"322": 2**30, "323": 2**30, "324": 8, "325": 64},
        {"322": 0, "323": 0, "324": 8, "325": 64},
        {"259": 34925, "278": 8},
        {"257": 0},
    ):
        path.write_bytes(tiff_of(entries(**changes)))
        started = time.monotonic()
        with contextlib.suppress(ImageFileError):
            assert read_image(path).numel() <= 3 * 8000
        assert time.monotonic() - started < 2, changes
    # A directory that follows itself.
    looped = bytearray(tiff_of(entries()))
    looped[-4:] = struct.pack("<I", 72)
    path.write_bytes(bytes(looped))
    assert outcome(path, bytes(looped)) is not None


def test_many_frames_are_not_walked(tmp_path):
    path = tmp_path / "moving"
    frames = [Image.new("L", (2, 2), value % 256) for value in range(2000)]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], optimize=False)
    started = time.monotonic()
    with pytest.warns(SegscapeWarning):
        read_image(path)
    assert time.monotonic() - started < 0.5


def test_size_without_decoding(tmp_path):
    path = tmp_path / "image.png"
    # Pixels that cannot be decoded: only a reader of headers passes.
    data = png_bytes(np.zeros((3, 4, 1), int), 8, 0)
    broken = data[:41] + bytes(b ^ 255 for b in data[41:49]) + data[49:]
    path.write_bytes(broken)
    assert tuple(image_size(path)) == (3, 4)
    with pytest.raises(ImageFileError, match="checksum of IDAT"):
        read_image(path)


def test_png_whose_critical_chunk_is_damaged(tmp_path):
    path = tmp_path / "image.png"
    data = png_bytes(np.ones((3, 4, 1), int), 2, 3, before=png_chunk(b"PLTE", bytes(12)))
    where = data.index(b"PLTE") + 6
    path.write_bytes(data[:where] + b"\x07" + data[where + 1 :])
    with warnings.catch_warnings(), pytest.raises(ImageFileError, match="checksum of PLTE"):
        read_image(path)
