"""The one decoder: image files to tensors, for training, evaluation and prediction alike.

Any other way from a file to pixels would train on one picture and predict on another. The mode
table and the scaling are in `pixel_values`, the orientations in `orientation`. Pillow's
`LOAD_TRUNCATED_IMAGES` is never set: it fills what is missing with grey, silently and process-wide.
"""

import warnings
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.ImageFile import ImageFile
from torch import Tensor

from segscape.io.atomic import atomic_file
from segscape.io.image_formats import DECODERS, open_image, refuse_bomb
from segscape.io.orientation import UPRIGHT, orient, oriented_size, valid_orientation
from segscape.io.pixel_values import Layout, to_bytes, to_rgb
from segscape.io.png_chunks import GREY, read_png_header, refuse_missing_rows
from segscape.structures import ImageFileError, OutputError, SegscapeWarning, Size

PIXEL_LIMIT = 500_000_000
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".btf", ".webp", ".bmp", ".gif"}
)

# Pillow's mode: the mode to ask Pillow for, and what its channels then are.
_MODES: dict[str, tuple[str, Layout]] = {
    "1": ("L", "grey"),
    "L": ("L", "grey"),
    "LA": ("LA", "grey+alpha"),
    "La": ("LA", "grey+alpha"),
    "P": ("RGB", "rgb"),
    "PA": ("RGBA", "rgb+alpha"),
    "RGB": ("RGB", "rgb"),
    "RGBA": ("RGBA", "rgb+alpha"),
    "RGBa": ("RGBA", "rgb+alpha"),
    "RGBX": ("RGB", "rgb"),
    # Adobe writes the inks of a JPEG inverted; Pillow turns them back.
    "CMYK": ("CMYK", "cmyk"),
    "YCbCr": ("RGB", "rgb"),
    "HSV": ("RGB", "rgb"),
    "LAB": ("LAB", "rgb"),
    "I;16": ("I;16", "grey"),
    "I;16L": ("I;16L", "grey"),
    "I;16B": ("I;16B", "grey"),
    "I;16N": ("I;16N", "grey"),
    "I": ("I", "grey"),
    "F": ("F", "grey"),
}
# A transparent colour (PNG's tRNS) stands beside the pixels in these modes.
_KEYED = frozenset({"1", "L", "P", "RGB"})


def read_image(
    path: str | Path, *, pixel_limit: int = PIXEL_LIMIT
) -> UInt8[Tensor, "3 height width"]:
    """Read an image file as red, green, blue in 0..255, upright.

    Grey becomes three equal channels, transparency is laid over white, 16 bits are scaled by the
    full range (12-bit data in a 16-bit file is therefore dark), floats must lie in [0, 1]. Of an
    animation or a stack of pages the first one is read, with a SegscapeWarning.

    Args:
        path: a JPEG, PNG, TIFF, WebP, BMP or GIF file, whatever its suffix.
        pixel_limit: the most pixels (height times width) that are decoded.

    Raises:
        ImageFileError: when the file is missing, unreadable, damaged, cut off, not an image, larger
            than the limit, or of a kind whose colours are undefined; the message names the file.
    """
    path = Path(path)
    with open_image(path) as (file, found):
        if found == "TIFF":
            pixels = _read_tiff(file, path, pixel_limit)
        elif found == "PNG":
            pixels = _read_png(file, path, pixel_limit)
        else:
            pixels = _read_with_pillow(file, path, found, pixel_limit)
        return _to_tensor(pixels)


def image_size(path: str | Path) -> Size:
    """The size of `read_image`'s result, from the file's header alone.

    Raises:
        ImageFileError: when the header cannot be read; the message names the file.
    """
    path = Path(path)
    with open_image(path) as (file, found):
        if found == "TIFF":
            from segscape.io.tiff_pages import TiffPage

            with closing(TiffPage(file, path)) as page:
                size = page.size
        elif found == "PNG":
            header = read_png_header(file, str(path), check_sums=False)
            size = oriented_size(_size_of(DECODERS[found](file)), header.orientation)
        else:
            image = DECODERS[found](file)
            size = oriented_size(_size_of(image), orientation_of(image))
        if size.height < 1 or size.width < 1:
            raise ImageFileError(f"{path}: damaged (its size is {size.height} x {size.width})")
        return size


def write_image(path: str | Path, image: UInt8[Tensor, "3 height width"]) -> None:
    """Write a PNG or, by the suffix `.jpg` or `.jpeg`, a JPEG of quality 95; no metadata.

    The file appears whole or not at all.

    Raises:
        OutputError: for another suffix, or when the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise OutputError(f"{path}: cannot write images as '{suffix}': use .png, .jpg or .jpeg")
    picture = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()))
    with atomic_file(path) as temporary:
        if suffix == ".png":
            picture.save(temporary, "PNG", compress_level=4)
        else:
            picture.save(temporary, "JPEG", quality=95, subsampling=0)


def find_images(folder: str | Path) -> tuple[Path, ...]:
    """The image files of a folder by their suffixes, sorted by name; subfolders are not entered.

    Hidden files are left out, among them the `._*` that macOS leaves on foreign disks.

    Raises:
        ImageFileError: when the folder is missing or cannot be listed.
    """
    folder = Path(folder)
    try:
        entries = list(folder.iterdir())
    except FileNotFoundError:
        raise ImageFileError(f"{folder}: no such folder: check the name") from None
    except NotADirectoryError:
        raise ImageFileError(f"{folder}: is a file, expected a folder of images") from None
    except OSError as error:
        raise ImageFileError(f"{folder}: cannot be listed ({error.strerror})") from error
    images = (
        entry
        for entry in entries
        if entry.suffix.lower() in IMAGE_SUFFIXES
        and not entry.name.startswith(".")
        and not entry.is_dir()
    )
    return tuple(sorted(images, key=lambda entry: entry.name))


def _read_tiff(file: BinaryIO, path: Path, pixel_limit: int) -> NDArray[np.uint8]:
    # Imported here: many data sets hold no TIFF, and tifffile takes a while to load.
    from segscape.io.tiff_pages import TiffPage

    with closing(TiffPage(file, path)) as page:
        refuse_bomb(path, page.size, pixel_limit)
        if page.has_more_pages():
            warn_of_more(path, "pages")
        if page.readable:
            return page.read_rgb(0, 0, *page.size)
    file.seek(0)
    image = DECODERS["TIFF"](file)
    refuse_bomb(path, _size_of(image), pixel_limit)
    # No `orient`: of all formats Pillow applies the tag to TIFF alone, by itself.
    return pixels_of(image, path)


def _read_png(file: BinaryIO, path: Path, pixel_limit: int) -> NDArray[np.uint8]:
    header = read_png_header(file, str(path), check_sums=True)
    image = DECODERS["PNG"](file)
    refuse_bomb(path, _size_of(image), pixel_limit)
    if getattr(image, "is_animated", False):
        warn_of_more(path, "frames")
    if header.bit_depth == 16 or (header.color_type == GREY and header.has_transparency):
        # Pillow drops the low byte of 16-bit colour, and compares the transparent grey of 1, 2 or
        # 4 bits with values it has already scaled.
        return orient(_with_libpng(file, path), header.orientation)
    orientation = header.orientation
    refuse_missing_rows(file, str(path), header, image)
    return orient(
        pixels_of(image, path), orientation if orientation != UPRIGHT else orientation_of(image)
    )


def _with_libpng(file: BinaryIO, path: Path) -> NDArray[np.uint8]:
    samples, layout = png_samples(file)
    return to_rgb(to_bytes(samples, str(path)), layout)


def png_samples(file: BinaryIO) -> tuple[NDArray[Any], Layout]:
    """The samples of a PNG in their own depth, (height, width, sample), not turned upright."""
    import imagecodecs

    file.seek(0)
    samples: NDArray[Any] = np.asarray(imagecodecs.png_decode(file.read()))
    if samples.ndim == 2:
        samples = samples[..., None]
    layouts: dict[int, Layout] = {1: "grey", 2: "grey+alpha", 3: "rgb", 4: "rgb+alpha"}
    return samples, layouts[samples.shape[2]]


def _read_with_pillow(
    file: BinaryIO, path: Path, found: str, pixel_limit: int
) -> NDArray[np.uint8]:
    image = DECODERS[found](file)
    refuse_bomb(path, _size_of(image), pixel_limit)
    orientation = orientation_of(image)
    # The second picture of an MPO (a JPEG of many telephones) is a depth map or another eye.
    if found in ("GIF", "WebP") and getattr(image, "is_animated", False):
        warn_of_more(path, "frames")
    pixels = pixels_of(image, path, zero_alpha_is_opaque=found == "BMP")
    return orient(pixels, orientation)


def pixels_of(
    image: Image.Image, path: Path, *, zero_alpha_is_opaque: bool = False
) -> NDArray[np.uint8]:
    """The colours of an image opened by Pillow as (height, width, 3), by the table of modes.

    Args:
        image: opened, not yet turned upright.
        path: the file, for the error.
        zero_alpha_is_opaque: Windows programs leave the fourth byte of a BMP at 0 and mean opaque.

    Raises:
        ImageFileError: for a mode without defined colours.
    """
    if image.mode not in _MODES:
        raise ImageFileError(f"{path}: pixel mode '{image.mode}' is not read: save it as RGB")
    target, layout = _MODES[image.mode]
    if image.mode in _KEYED and "transparency" in image.info:
        target, layout = "RGBA", "rgb+alpha"
    if image.mode == "LAB":
        image = _lab_to_rgb(image)
    elif image.mode != target:
        image = image.convert(target)
    samples: NDArray[Any] = np.asarray(image)
    if samples.ndim == 2:
        samples = samples[..., None]
    if samples.dtype.byteorder == ">":
        samples = samples.astype(samples.dtype.newbyteorder("="))
    if zero_alpha_is_opaque and layout == "rgb+alpha" and not samples[..., 3].any():
        layout = "rgb"
    return to_rgb(to_bytes(samples, str(path)), layout)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    # TIFF's CIELab has the white point D50, as the profile; Pillow's `convert` knows no LAB.
    image.load()
    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    if converted is None:
        raise ImageFileError("CIELab colours could not be converted: save the image as RGB")
    return converted


def _size_of(image: ImageFile) -> Size:
    return Size(image.height, image.width)


def orientation_of(image: ImageFile) -> int:
    """The orientation of an image opened by Pillow, from its notes before the pixels."""
    if "exif" not in image.info and "xmp" not in image.info and image.format != "PNG":
        return UPRIGHT
    try:
        # The method of the base class: PNG's own would decode the pixels to look behind them.
        return valid_orientation(Image.Image.getexif(image).get(274))
    except Exception:  # noqa: BLE001 damaged notes do not make a picture unreadable
        return UPRIGHT


def warn_of_more(path: Path, what: str) -> None:
    """Warn that a file holds more pictures than the one that is read."""
    warnings.warn(f"{path}: has several {what}; the first is read", SegscapeWarning, stacklevel=4)


def _to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    # Always a copy: Pillow's memory is read-only, and a view would keep it alive.
    return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))
