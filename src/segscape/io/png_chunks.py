"""The chunks of a PNG file: what Pillow does not check or does not say.

Pillow accepts a PNG without its end (IEND) and does not compare the checksums of the pixels' chunks
(IDAT), so that a file cut off or damaged on the way is read as if whole. Walking the chunks costs
one pass of CRC-32, at more than 1 GB/s a small part of decoding.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL.ImageFile import ImageFile

from segscape.io.orientation import UPRIGHT, exif_orientation
from segscape.structures import ImageFileError, Size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIECE = 1 << 20
_EXIF_LIMIT = 1 << 20
GREY, PALETTE = 0, 3


@dataclass(frozen=True)
class PngHeader:
    """What a PNG file says of itself.

    Args:
        size: height and width as stored.
        bit_depth: bits per sample: 1, 2, 4, 8 or 16.
        color_type: 0 grey, 2 colour, 3 palette, 4 grey and alpha, 6 colour and alpha.
        is_interlaced: True when the pixels come in Adam7's seven passes.
        has_transparency: True when a colour, or entries of the palette, are transparent (tRNS).
        orientation: EXIF orientation 1..8, from the eXIf chunk wherever it stands.
    """

    size: Size
    bit_depth: int
    color_type: int
    is_interlaced: bool
    has_transparency: bool
    orientation: int


def read_png_header(file: BinaryIO, name: str, *, check_sums: bool) -> PngHeader:
    """Walk the chunks from the start to IEND; the file is rewound afterwards.

    Args:
        file: open for reading, at any place.
        name: the file, for the error.
        check_sums: read every byte and compare the checksums; else only jump over the chunks.

    Raises:
        ImageFileError: when a chunk is cut off or damaged or there is no IEND.
    """
    file.seek(len(SIGNATURE))
    first: tuple[int, ...] = (0, 0, 8, 2, 0, 0, 0)
    transparency, orientation = False, UPRIGHT
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise ImageFileError(f"{name}: PNG is cut off (no IEND): fetch or export it again")
        length, kind = struct.unpack(">I4s", head)
        wanted = length if kind == b"IHDR" or (kind == b"eXIf" and length <= _EXIF_LIMIT) else 0
        data = _read_chunk(file, name, kind, length, wanted, check_sums=check_sums)
        if kind == b"IHDR" and len(data) == 13:
            first = struct.unpack(">IIBBBBB", data)
        elif kind == b"tRNS":
            transparency = True
        elif kind == b"eXIf":
            orientation = exif_orientation(data)
        elif kind == b"IEND":
            file.seek(0)
            width, height, depth, color, _, _, interlaced = first
            return PngHeader(
                Size(height, width), depth, color, interlaced != 0, transparency, orientation
            )


def refuse_missing_rows(file: BinaryIO, name: str, header: PngHeader, image: ImageFile) -> None:
    """Refuse a PNG whose pixels end before its last row; the file is rewound afterwards.

    When the compressed pixels end properly but too early, Pillow leaves the rest at 0 and says
    nothing. Counting means decompressing a second time, so it is done only where rows can be
    missing: when the last one is blank or the rows come in passes.

    Raises:
        ImageFileError: when rows are missing.
    """
    last = image.crop((0, image.height - 1, image.width, image.height))
    if not header.is_interlaced and np.asarray(last).any():
        return
    left = _bytes_of_pixels(header)
    inflate = zlib.decompressobj()
    file.seek(len(SIGNATURE))
    while left > 0:
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"IEND":
            raise ImageFileError(f"{name}: PNG lacks its last rows: fetch or export it again")
        if kind != b"IDAT":
            file.seek(length + 4, 1)
            continue
        while length:
            piece = file.read(min(length, _PIECE))
            length -= len(piece)
            while piece and left > 0 and not inflate.eof:
                left -= len(inflate.decompress(piece, _PIECE))
                piece = inflate.unconsumed_tail
        file.seek(4, 1)
    file.seek(0)


def _bytes_of_pixels(header: PngHeader) -> int:
    """Bytes of all rows before compression, each with the byte that names its filter."""
    samples = {GREY: 1, 2: 3, PALETTE: 1, 4: 2, 6: 4}[header.color_type]
    (height, width), bits = header.size, samples * header.bit_depth
    # Top, left and steps of Adam7's passes (PNG specification, section 8).
    adam7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    passes = (*adam7, (1, 0, 2, 1)) if header.is_interlaced else ((0, 0, 1, 1),)
    total = 0
    for top, left, down, across in passes:
        rows, columns = -(-(height - top) // down), -(-(width - left) // across)
        if rows > 0 and columns > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _read_chunk(
    file: BinaryIO, name: str, kind: bytes, length: int, wanted: int, *, check_sums: bool
) -> bytes:
    data = b""
    crc = zlib.crc32(kind)
    left = length if check_sums else wanted
    while left:
        piece = file.read(min(left, _PIECE))
        if not piece:
            raise ImageFileError(
                f"{name}: PNG is cut off inside {_shown(kind)}: fetch or export it again"
            )
        left -= len(piece)
        crc = zlib.crc32(piece, crc)
        if wanted:
            data += piece
    if not check_sums:
        file.seek(length - wanted + 4, 1)
        return data
    if file.read(4) != struct.pack(">I", crc):
        raise ImageFileError(
            f"{name}: PNG is damaged (checksum of {_shown(kind)} is wrong): fetch it again"
        )
    return data


def _shown(kind: bytes) -> str:
    return kind.decode("ascii") if kind.isalpha() else "a chunk"
