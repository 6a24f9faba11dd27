"""Image files of every kind, with the pixels they must give, built without the code under test."""

import io
import itertools
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import tifffile
from PIL import Image

SIZES = ((1, 1), (1, 7), (6, 1), (5, 4))
# No tag, the eight of the standard, and a value that means nothing.
ORIENTATIONS = (None, 1, 2, 3, 4, 5, 6, 7, 8, 9)
# The EXIF standard: where the stored first row and first column are seen.
_SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


@dataclass(frozen=True)
class OddImage:
    """A file's bytes and what must be read: (height, width, 3), upright."""

    name: str
    data: bytes
    expected: np.ndarray
    ids: np.ndarray | None = None
    tolerance: int = 0


def shown(stored: np.ndarray, orientation: int | None) -> np.ndarray:
    """Turn a stored picture pixel by pixel, by the standard's table of sides."""
    row_side, column_side = _SIDES.get(orientation or 1, _SIDES[1])
    rows, columns = stored.shape[:2]
    swapped = row_side in ("left", "right")
    height, width = (columns, rows) if swapped else (rows, columns)
    out = np.zeros((height, width, *stored.shape[2:]), stored.dtype)
    for r, c in itertools.product(range(rows), range(columns)):
        place = {}
        for side, index in ((row_side, r), (column_side, c)):
            axis = "x" if side in ("left", "right") else "y"
            last = (width if axis == "x" else height) - 1
            place[axis] = index if side in ("left", "top") else last - index
        out[place["y"], place["x"]] = stored[r, c]
    return out


def exif_block(orientation: int) -> bytes:
    """A TIFF header and one directory with the orientation."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bytes(
    samples: np.ndarray,
    depth: int,
    color: int,
    *,
    before: bytes = b"",
    after: bytes = b"",
    end: bool = True,
    size: tuple[int, int] | None = None,
) -> bytes:
    """Encode a PNG by hand: samples of (height, width, channel), unfiltered."""
    height, width, _ = samples.shape
    rows = []
    for row in samples.reshape(height, -1):
        if depth == 16:
            rows.append(b"\0" + row.astype(">u2").tobytes())
        elif depth == 8:
            rows.append(b"\0" + row.astype(np.uint8).tobytes())
        else:
            bits = "".join(f"{value:0{depth}b}" for value in row)
            bits += "0" * (-len(bits) % 8)
            rows.append(b"\0" + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))
    height, width = size or (height, width)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + before
        + png_chunk(b"IDAT", zlib.compress(b"".join(rows)))
        + after
        + (png_chunk(b"IEND", b"") if end else b"")
    )


def nearest(numerator: int, denominator: int) -> int:
    """Round half up, in whole numbers."""
    return (2 * numerator + denominator) // (2 * denominator)


def scaled(values: np.ndarray, bits: int) -> np.ndarray:
    """Full range of the bits to 0..255, by a table."""
    return np.array(_scale(bits), np.uint8)[values]


@cache
def _scale(bits: int) -> list[int]:
    return [nearest(value * 255, (1 << bits) - 1) for value in range(1 << bits)]


def over_white(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lay 8-bit colours over white, one value at a time."""
    out = np.zeros_like(color)
    for place in np.ndindex(color.shape):
        a = int(alpha[place[:-1]])
        out[place] = nearest(int(color[place]) * a + 255 * (255 - a), 255)
    return out


def as_rgb(samples: np.ndarray, bits: int) -> np.ndarray:
    """The colours of grey, grey+alpha, RGB or RGBA samples."""
    eight = scaled(samples, bits)
    channels = eight.shape[2]
    color = eight[..., : 1 if channels <= 2 else 3]
    if channels in (2, 4):
        color = over_white(color, eight[..., -1])
    return np.repeat(color, 3, axis=2) if color.shape[2] == 1 else color


def png_images(seed: int = 0) -> Iterator[OddImage]:
    """Every colour type and depth of PNG x orientations x sizes."""
    rng = np.random.default_rng(seed)
    kinds = [(0, d, 1) for d in (1, 2, 4, 8, 16)] + [(3, d, 1) for d in (1, 2, 4, 8)]
    kinds += [(c, d, n) for c, n in ((4, 2), (2, 3), (6, 4)) for d in (8, 16)]
    for (color, depth, channels), size, turn, keyed in itertools.product(
        kinds, SIZES, ORIENTATIONS, (False, True)
    ):
        if keyed and color in (4, 6):
            continue
        samples = rng.integers(0, 1 << depth, (*size, channels))
        before, stored = b"", as_rgb(samples, depth)
        if color == 3:
            palette = rng.integers(0, 256, (1 << depth, 3)).astype(np.uint8)
            before, stored = png_chunk(b"PLTE", palette.tobytes()), palette[samples[..., 0]]
            if keyed:
                alphas = rng.integers(0, 256, 1 << depth).astype(np.uint8)
                before += png_chunk(b"tRNS", alphas.tobytes())
                stored = over_white(stored, alphas[samples[..., 0]])
        elif keyed:
            key = samples[0, 0]
            before = png_chunk(b"tRNS", b"".join(struct.pack(">H", int(v)) for v in key))
            stored = stored.copy()
            stored[(samples == key).all(2)] = 255
        chunk = b"" if turn is None else png_chunk(b"eXIf", exif_block(turn))
        # The standard lets eXIf stand before or behind the pixels.
        early = turn is not None and turn % 2 == 1
        yield OddImage(
            f"png color {color} depth {depth} size {size} exif {turn} keyed {keyed}",
            png_bytes(
                samples,
                depth,
                color,
                before=before + chunk if early else before,
                after=b"" if early else chunk,
            ),
            shown(stored, turn),
            shown(samples[..., 0], turn) if color in (0, 3) else None,
        )


def tiff_bytes(samples: np.ndarray, turn: int | None, **options: Any) -> bytes:
    stream = io.BytesIO()
    tags = [] if turn is None else [(274, 3, 1, turn, True)]
    tifffile.imwrite(stream, samples, extratags=tags, metadata=None, **options)
    return stream.getvalue()


def tiff_images(seed: int = 0) -> Iterator[OddImage]:
    """TIFF: samples x byte order x strips, tiles and planes x compression x orientations."""
    rng = np.random.default_rng(seed)
    ways: tuple[dict[str, Any], ...] = (
        {},
        {"byteorder": ">"},
        {"tile": (16, 32), "compression": "zlib"},
        {"compression": "lzw", "rowsperstrip": 2},
        {"compression": "zlib", "predictor": True, "bigtiff": True},
    )
    kinds = [(n, d) for n in (1, 2, 3, 4) for d in (np.uint8, np.uint16)]
    for (channels, dtype), size, turn in itertools.product(kinds, SIZES, ORIENTATIONS):
        way = dict(ways[rng.integers(len(ways))])
        bits = np.dtype(dtype).itemsize * 8
        samples = rng.integers(0, 1 << bits, (*size, channels)).astype(dtype)
        given = samples
        if channels == 1:
            given = samples[..., 0]
        elif rng.integers(2):
            given, way["planarconfig"] = np.moveaxis(samples, 2, 0), "separate"
        else:
            way["planarconfig"] = "contig"
        if channels in (2, 4):
            way["extrasamples"] = ["unassalpha"]
        way["photometric"] = "rgb" if channels > 2 else "minisblack"
        yield OddImage(
            f"tiff {channels} x {bits} {size} exif {turn} {way}",
            tiff_bytes(given, turn, **way),
            shown(as_rgb(samples, bits), turn),
            shown(samples[..., 0], turn) if channels == 1 else None,
        )


# What Pillow writes without loss: container, options, modes.
_LOSSLESS: tuple[tuple[str, dict[str, Any], tuple[str, ...]], ...] = (
    ("TIFF", {}, ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "I;16", "I;16B")),
    ("TIFF", {"compression": "tiff_lzw"}, ("1", "L", "P", "RGB", "RGBA", "CMYK")),
    ("TIFF", {"compression": "group4"}, ("1",)),
    ("WEBP", {"lossless": True, "exact": True}, ("RGB", "RGBA")),
    ("BMP", {}, ("1", "L", "P", "RGB")),
    ("PNG", {}, ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    ("GIF", {}, ("L", "P")),
)
_HAS_EXIF = ("TIFF", "WEBP")


def pillow_images(seed: int = 0) -> Iterator[OddImage]:
    """Every mode that Pillow can write without loss x orientations x sizes."""
    rng = np.random.default_rng(seed)
    for container, options, modes in _LOSSLESS:
        turns = ORIENTATIONS if container in _HAS_EXIF else (None,)
        for mode, size, turn in itertools.product(modes, SIZES, turns):
            if turn == 9 and "compression" in options:
                continue  # libtiff refuses to write it
            image, stored, ids = _in_mode(mode, size, rng)
            more = {} if turn is None else {"exif": _pillow_exif(turn)}
            stream = io.BytesIO()
            image.save(stream, container, **options, **more)
            yield OddImage(
                f"{container} {mode} {options} {size} exif {turn}",
                stream.getvalue(),
                shown(stored, turn),
                # GIF's writer sorts its palette; fax compression may store white as 0.
                shown(ids, turn) if ids is not None and container in ("PNG", "BMP") else None,
            )


def _pillow_exif(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = turn
    return exif


def _in_mode(
    mode: str, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Image.Image, np.ndarray, np.ndarray | None]:
    grey = rng.integers(0, 256, size).astype(np.uint8)
    alpha = rng.integers(0, 256, size).astype(np.uint8)
    color = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    thrice = np.repeat(grey[..., None], 3, axis=2)
    if mode == "1":
        bits = grey > 127
        ids = bits.astype(np.uint8)
        return Image.fromarray(bits), np.repeat(ids[..., None] * np.uint8(255), 3, axis=2), ids
    if mode == "L":
        return Image.fromarray(grey), thrice, grey
    if mode == "LA":
        pair = Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))
        return pair, over_white(thrice, alpha), None
    if mode in ("P", "PA"):
        palette = rng.permutation(256 * 3).astype(np.uint8).reshape(256, 3)
        image = Image.fromarray(grey)
        image.putpalette(palette.tobytes())
        if mode == "PA":
            image = image.convert("PA")
            image.putalpha(Image.fromarray(alpha))
            return image, over_white(palette[grey], alpha), None
        return image, palette[grey], grey
    if mode == "RGB":
        return Image.fromarray(color), color, None
    if mode == "RGBX":
        return Image.fromarray(np.dstack([color, alpha]), "RGBX"), color, None
    if mode == "RGBA":
        return Image.fromarray(np.dstack([color, alpha])), over_white(color, alpha), None
    if mode == "CMYK":
        inks = np.dstack([color, alpha])
        rgb = np.zeros_like(color)
        for place in np.ndindex(color.shape):
            paper = (255 - int(color[place])) * (255 - int(alpha[place[:2]]))
            rgb[place] = nearest(paper, 255)
        return Image.fromarray(inks, "CMYK"), rgb, None
    wide = rng.integers(0, 65536, size).astype(np.uint16)
    image = Image.frombytes(
        mode, (size[1], size[0]), wide.astype(">u2" if mode == "I;16B" else "<u2").tobytes()
    )
    return image, np.repeat(scaled(wide, 16)[..., None], 3, axis=2), wide
