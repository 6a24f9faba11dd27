"""The chunks of a PNG file: what Pillow does not check or does not say.

Pillow accepts a PNG without its end (IEND) and does not compare the checksums of the pixels' chunks
(IDAT), so that a file cut off or damaged on the way is read as if whole. Walking the chunks costs
one pass of CRC-32, at more than 1 GB/s a small part of decoding.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from segscape.io.orientation import UPRIGHT, exif_orientation
from segscape.structures import ImageFileError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIECE = 1 << 20
_EXIF_LIMIT = 1 << 20
GREY, PALETTE = 0, 3


@dataclass(frozen=True)
class PngHeader:
    """What a PNG file says of itself.

    Args:
        bit_depth: bits per sample: 1, 2, 4, 8 or 16.
        color_type: 0 grey, 2 colour, 3 palette, 4 grey and alpha, 6 colour and alpha.
        has_transparency: True when a colour, or entries of the palette, are transparent (tRNS).
        orientation: EXIF orientation 1..8, from the eXIf chunk wherever it stands.
    """

    bit_depth: int
    color_type: int
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
    depth, color = 8, 2
    transparency, orientation = False, UPRIGHT
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise ImageFileError(f"{name}: PNG is cut off (no IEND): fetch or export it again")
        length, kind = struct.unpack(">I4s", head)
        wanted = length if kind == b"IHDR" or (kind == b"eXIf" and length <= _EXIF_LIMIT) else 0
        data = _read_chunk(file, name, kind, length, wanted, check_sums=check_sums)
        if kind == b"IHDR" and len(data) >= 10:
            depth, color = data[8], data[9]
        elif kind == b"tRNS":
            transparency = True
        elif kind == b"eXIf":
            orientation = exif_orientation(data)
        elif kind == b"IEND":
            file.seek(0)
            return PngHeader(depth, color, transparency, orientation)


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
