"""The first page of a TIFF or BigTIFF, read by windows with memory bounded by the tiles touched.

Pillow drops the low byte of 16-bit colour, knows no 16-bit planes, no BigTIFF strips beyond its own
pixel limit and always decodes the whole page; tifffile with imagecodecs gives the samples as they
are stored. What tifffile does not decode (fax and old JPEG compression, subsampled YCbCr, CIELab)
is left to Pillow by `readable`.
"""

import logging
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from segscape.io.image_formats import decoding
from segscape.io.orientation import (
    ORIENTATION_TAG,
    orient,
    oriented_size,
    stored_window,
    valid_orientation,
)
from segscape.io.pixel_values import CHANNELS, Layout, to_bytes, to_rgb
from segscape.structures import ImageFileError, Size

# tifffile tells its doubts to the log; ours end in errors, and a command prints one line.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_PREMULTIPLIED, _STRAIGHT = 1, 2
_PLANES_APART = 2
JPEG_COMPRESSION = 7
# None, LZW, JPEG, deflate (two numbers), PackBits, LZMA, Zstandard, WebP.
_COMPRESSIONS = frozenset({1, 5, JPEG_COMPRESSION, 8, 32946, 32773, 34925, 50000, 50001})
_MOST_SAMPLES = 256
_MOST_TAGS = 4096
# Sizes, bits, compression, colours, strips and tiles: without one the pixels would be others.
_TAGS_OF_PIXELS = frozenset(
    {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339}
)
_CACHE_BYTES = 64 << 20
# A strip or tile is decoded as a whole: beyond this a "window" would be the image.
SEGMENT_LIMIT = 1 << 30


class TiffPage:
    """The first page of an open TIFF file, shown upright; close it with `contextlib.closing`.

    Args:
        file: open for reading; the caller closes it.
        name: the file, for the errors.

    Raises:
        ImageFileError: when the structure is damaged.
    """

    def __init__(self, file: BinaryIO, name: Path) -> None:
        self.name = name
        self._file = file
        with decoding(name):
            self._tiff = tifffile.TiffFile(file, name=str(name))
            page = self._tiff.pages[0]
            if not isinstance(page, tifffile.TiffPage):
                raise TypeError("its first page cannot be read")
            self._page: Any = page  # tifffile's attributes depend on the tags
            self._refuse_lost_tags()
            self.orientation = valid_orientation(page.tags.valueof(ORIENTATION_TAG))
            self.stored_size = Size(int(page.imagelength), int(page.imagewidth))
            self._file_bytes = file.seek(0, 2)
        self._cache: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._cached_bytes = 0

    @property
    def size(self) -> Size:
        """Height and width as shown."""
        return oriented_size(self.stored_size, self.orientation)

    @property
    def bits(self) -> int:
        """Bits of each sample."""
        return int(self._page.bitspersample)

    @property
    def is_lossy(self) -> bool:
        """True when the pixels are stored as JPEG or WebP."""
        return int(self._page.compression) in (JPEG_COMPRESSION, 6, 50001)

    @property
    def is_palette(self) -> bool:
        """True when the pixels are indices into a table of colours."""
        return int(self._page.photometric) == _PALETTE

    @property
    def is_white_at_zero(self) -> bool:
        """True when the first sample counts from white down to black."""
        return int(self._page.photometric) == _WHITE_IS_ZERO

    @property
    def has_unnamed_samples(self) -> bool:
        """True when there are more samples than grey or colour, which are not transparency."""
        page = self._page
        colors = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3}.get(int(page.photometric))
        extra = tuple(int(kind) for kind in page.extrasamples)
        if colors is None or self.samples <= colors:
            return False
        # Without the tag, a fourth sample is alpha by custom, as `layout` has it.
        is_custom = colors == 3 and self.samples == 4 and not extra
        return not is_custom and extra[:1] not in ((_PREMULTIPLIED,), (_STRAIGHT,))

    @property
    def samples(self) -> int:
        """Samples stored for each pixel."""
        return int(self._page.samplesperpixel)

    @property
    def readable(self) -> bool:
        """False when only Pillow knows this kind of page."""
        page = self._page
        photometric, compression = int(page.photometric), int(page.compression)
        if compression not in _COMPRESSIONS or not isinstance(page.bitspersample, int):
            return False
        if photometric == _YCBCR:
            return compression == JPEG_COMPRESSION
        return photometric <= _PALETTE or photometric == _SEPARATED

    def has_more_pages(self) -> bool:
        """True when another page of full size follows: a stack, not a pyramid or a thumbnail."""
        try:
            following: Any = self._tiff.pages[1]
        except Exception:  # noqa: BLE001 a damaged next page does not matter: it is not read
            return False
        return not (following.subfiletype & 1)

    def layout(self) -> Layout:
        """What the samples are; surplus ones of unknown meaning are not part of it.

        Raises:
            ImageFileError: when the samples cannot be told as colours.
        """
        page = self._page
        photometric, extra = int(page.photometric), tuple(int(kind) for kind in page.extrasamples)
        if photometric == _PALETTE:
            return "grey+alpha" if extra[:1] == (_STRAIGHT,) else "grey"
        if photometric == _SEPARATED:
            if self.samples < 4:
                raise ImageFileError(f"{self.name}: {self.samples} inks, expected 4 (CMYK)")
            return "cmyk"
        if photometric in (_RGB, _YCBCR):
            if self.samples < 3:
                raise ImageFileError(f"{self.name}: {self.samples} colour samples, expected 3")
            if self.samples == 4 and photometric == _RGB and extra[:1] in ((), (_STRAIGHT,)):
                # Without the tag, a fourth sample is alpha by custom, as Pillow has it.
                return "rgb+alpha"
            return "rgb+premultiplied" if extra[:1] == (_PREMULTIPLIED,) else "rgb"
        if self.samples == 1:
            return "grey"
        if self.samples == 2 and extra[:1] in ((_STRAIGHT,), (_PREMULTIPLIED,)):
            return "grey+alpha"
        raise ImageFileError(
            f"{self.name}: {self.samples} grey samples per pixel of unknown meaning: save it as "
            "RGB (photometric 2), or one channel per file"
        )

    def read_rgb(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        """A window as shown, in red, green and blue.

        Raises:
            ImageFileError: when the file is damaged or its samples mean no colours.
        """
        layout = self.layout()
        raw = self.read_samples(top, left, height, width)[..., : CHANNELS[layout]]
        with decoding(self.name):
            if self.is_palette:
                # Writers fill the 16 bits by v * 257 or v * 256: the high byte is v in both.
                table = (np.asarray(self._page.colormap).T >> 8).astype(np.uint8)
                colors = table[raw[..., 0]]
                if layout == "grey":
                    return colors
                return to_rgb(np.dstack([colors, raw[..., 1]]), "rgb+alpha")
            name = str(self.name)
            pixels = to_bytes(raw, name, bits=self.bits if raw.dtype.kind == "u" else None)
            if self.is_white_at_zero:
                pixels = np.concatenate([255 - pixels[..., :1], pixels[..., 1:]], axis=2)
            return to_rgb(pixels, layout)

    def read_samples(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """A window as shown of the samples as stored, (height, width, sample).

        Raises:
            ImageFileError: when the file is damaged or needs too large a piece at once.
        """
        with decoding(self.name):
            self._refuse_lies()
            window = stored_window((top, left, height, width), self.stored_size, self.orientation)
            return orient(self._read_stored(*window), self.orientation)

    def _refuse_lost_tags(self) -> None:
        """Refuse when tifffile has passed over a damaged tag that says how pixels are stored."""
        tiff: Any = self._tiff.tiff
        self._file.seek(int(self._page.offset))
        (count,) = struct.unpack(tiff.tagnoformat, self._file.read(tiff.tagnosize))
        if count > _MOST_TAGS:
            raise ValueError(f"{count} tags")
        for _ in range(count):
            entry = self._file.read(tiff.tagsize)
            (code,) = struct.unpack_from(tiff.byteorder + "H", entry)
            if code in _TAGS_OF_PIXELS and code not in self._page.tags:
                raise ValueError(f"its tag {code} cannot be read")

    def _refuse_lies(self) -> None:
        page = self._page
        if not 1 <= self.samples <= _MOST_SAMPLES or page.imagedepth != 1:
            raise ValueError(f"{self.samples} samples per pixel, {page.imagedepth} deep")
        segments = 1
        for count in page.chunked:
            segments *= int(count)
        if not segments == len(page.dataoffsets) == len(page.databytecounts):
            raise ValueError(f"{len(page.dataoffsets)} strips or tiles, expected {segments}")
        rows, columns = self._segment_size()
        if rows < 1 or columns < 1:
            raise ValueError("its tiles have no pixels")
        if not self._is_plain() and rows * columns * self.samples * page.dtype.itemsize > (
            SEGMENT_LIMIT
        ):
            raise ImageFileError(
                f"{self.name}: is stored in pieces of {rows} x {columns} pixels, too large to "
                "decode: save it again as tiled TIFF (256 or 512 pixels) or as Zarr"
            )

    def _segment_size(self) -> tuple[int, int]:
        page = self._page
        if page.is_tiled:
            return int(page.tilelength), int(page.tilewidth)
        rows = min(int(page.rowsperstrip), self.stored_size.height)
        return rows, self.stored_size.width

    def _is_plain(self) -> bool:
        """True when the bytes in the file are the samples, so that rows can be read alone."""
        page = self._page
        return (
            not page.is_tiled
            and int(page.compression) == 1
            and int(page.predictor) == 1
            and int(page.fillorder) == 1
            and page.dtype is not None
            and self.bits == page.dtype.itemsize * 8
        )

    def _read_stored(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        page = self._page
        if page.dtype is None:
            raise ValueError(f"samples of {page.bitspersample} bits")
        rows, columns = self._segment_size()
        out = np.zeros((height, width, self.samples), page.dtype.newbyteorder("="))
        down = -(-self.stored_size.height // rows)
        across = -(-self.stored_size.width // columns)
        apart = int(page.planarconfig) == _PLANES_APART and self.samples > 1
        for plane in range(self.samples if apart else 1):
            target = out[..., plane : plane + 1] if apart else out
            for row in range(top // rows, -(-(top + height) // rows)):
                for column in range(left // columns, -(-(left + width) // columns)):
                    index = (plane * down + row) * across + column
                    y, x = row * rows, column * columns
                    y0, y1 = max(top, y), min(top + height, y + rows)
                    x0, x1 = max(left, x), min(left + width, x + columns)
                    piece = self._segment(index, y0 - y, y1 - y, target.shape[2])
                    if piece is None:
                        continue  # a hole: what was never written is 0
                    target[y0 - top : y1 - top, x0 - left : x1 - left] = piece[:, x0 - x : x1 - x]
        return out

    def _segment(self, index: int, first: int, last: int, depth: int) -> NDArray[Any] | None:
        """Rows first..last of one strip or tile, None where the file has a hole."""
        page = self._page
        offset, count = int(page.dataoffsets[index]), int(page.databytecounts[index])
        if offset == 0 and count == 0:
            return None
        if offset + count > self._file_bytes:
            raise ValueError(f"cut off: {offset + count} bytes expected, {self._file_bytes} found")
        if self._is_plain():
            return self._plain_rows(offset, count, first, last, depth)
        if index not in self._cache:
            self._file.seek(offset)
            data = self._file.read(count)
            decoded: Any = page.decode(
                data, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader
            )
            piece = np.asarray(decoded[0])[0]
            self._cache[index] = piece
            self._cached_bytes += piece.nbytes
            while self._cached_bytes > _CACHE_BYTES and len(self._cache) > 1:
                self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        self._cache.move_to_end(index)
        return self._cache[index][first:last]

    def _plain_rows(
        self, offset: int, count: int, first: int, last: int, depth: int
    ) -> NDArray[Any]:
        dtype = np.dtype(self._page.parent.byteorder + self._page.dtype.char)
        row_bytes = self.stored_size.width * depth * dtype.itemsize
        if last * row_bytes > count:
            raise ValueError(f"a strip of {count} bytes, expected {last * row_bytes}")
        self._file.seek(offset + first * row_bytes)
        data = self._file.read((last - first) * row_bytes)
        return np.frombuffer(data, dtype).reshape(last - first, self.stored_size.width, depth)

    def close(self) -> None:
        """Forget the decoded pieces."""
        self._cache.clear()
        self._tiff.close()
