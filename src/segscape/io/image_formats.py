"""Which image formats are read, how a file's format is told, and how decoding can fail.

Formats are told by the first bytes, never by the suffix, and only those of the table are read: most
of Pillow's security holes were in formats that a segmentation tool never needs.
"""

import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import jpeg_factory
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from segscape.structures import ImageFileError, SegscapeError, Size

# The plugins are called themselves, not through Image.open: that one tries a process-wide list of
# formats, and its pixel limit is process-wide too, warns where we refuse and refuses where we read.
DECODERS: dict[str, Callable[[BinaryIO], ImageFile]] = {
    "JPEG": jpeg_factory,
    "PNG": PngImageFile,
    "TIFF": TiffImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
}

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
# What people feed to image tools that is none: start of the file -> what to call it.
_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a git-lfs pointer: run `git lfs pull`"),
    (b"%PDF", "a PDF document: export its pages as PNG"),
    (b"8BPS", "a Photoshop document: export it as PNG"),
    (b"\x00\x00\x00\x0cjP", "JPEG 2000, which is not read: convert it to PNG or TIFF"),
    (b"\xff\x4f\xff\x51", "JPEG 2000, which is not read: convert it to PNG or TIFF"),
    (b"\x93NUMPY", "a NumPy array: save it as PNG or TIFF"),
    (b"PK\x03\x04", "a ZIP archive: unpack it"),
    (b"\x1f\x8b", "a gzip file: unpack it"),
    (b"\x89HDF", "an HDF5 file: export its images as TIFF or Zarr"),
)
_READ = ", ".join(DECODERS)
_HEAD = 512


def format_of(head: bytes) -> str | None:
    """The format that a file's first bytes announce, None when it is not one that is read."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def _what_else(head: bytes) -> str:
    if not head:
        return "is empty (0 bytes): fetch or export it again"
    for magic, what in _STRANGERS:
        if head.startswith(magic):
            return f"is {what}"
    if head[4:8] == b"ftyp":
        return "is HEIC, AVIF or a video: convert it to JPEG or PNG"
    if head[128:132] == b"DICM":
        return "is DICOM: export it as PNG or TIFF"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return "is a web page or XML, not an image (a failed download?): fetch it again"
    if not any(head):
        return "holds only zero bytes: fetch or export it again"
    return f"is not an image of a known format: expected one of {_READ}"


@contextmanager
def open_image(path: Path) -> Generator[tuple[BinaryIO, str], None, None]:
    """Open a file and tell its format; whatever goes wrong inside names the file.

    Raises:
        ImageFileError: when the file is missing, no regular file, unreadable, of no known format,
            or when decoding inside the context fails.
    """
    try:
        # Asked first because opening a pipe would wait for ever, and reading a device never ends.
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageFileError(f"{path}: is a folder, expected an image file")
        if not stat.S_ISREG(mode):
            raise ImageFileError(f"{path}: is not a regular file, expected an image file")
        file = path.open("rb")
    except FileNotFoundError:
        raise ImageFileError(f"{path}: no such file: check the name and the folder") from None
    except OSError as error:
        raise ImageFileError(
            f"{path}: cannot be opened ({error.strerror}): check its permissions"
        ) from error
    except SegscapeError:
        raise
    except ValueError as error:  # a null byte in the name
        raise ImageFileError(f"{str(path)!r}: is not a file name ({error})") from error
    with file, decoding(path):
        head = file.read(_HEAD)
        found = format_of(head)
        if found is None:
            raise ImageFileError(f"{path}: {_what_else(head)}")
        file.seek(0)
        yield file, found


@contextmanager
def decoding(path: Path) -> Generator[None, None, None]:
    """Turn whatever a decoder raises into one error that names the file."""
    try:
        yield
    except SegscapeError:
        raise
    except MemoryError as error:
        raise ImageFileError(
            f"{path}: needs more memory than there is: use a machine with more, or tiles"
        ) from error
    except Exception as error:
        # Decoders answer hostile bytes with OSError, SyntaxError, KeyError, struct.error, zlib's
        # and their own errors: all of them mean that this file cannot be read.
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ImageFileError(f"{path}: damaged ({reason}): fetch or export it again") from error


def refuse_bomb(name: str | Path, size: Size, pixel_limit: int) -> None:
    """Refuse an image by its header's size, before anything is decoded.

    Raises:
        ImageFileError: when height times width is 0 or beyond the limit.
    """
    if size.height < 1 or size.width < 1:
        raise ImageFileError(f"{name}: damaged (its size is {size.height} x {size.width})")
    if size.height * size.width > pixel_limit:
        raise ImageFileError(
            f"{name}: {size.height} x {size.width} pixels are more than the limit of "
            f"{pixel_limit:,}: raise the limit if the file is to be trusted, or store it as tiled "
            "TIFF or Zarr and read it by windows"
        )
