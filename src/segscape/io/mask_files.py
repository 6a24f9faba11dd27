"""Mask files: ids by index, never through a colour conversion.

A palette PNG holds indices and a table of colours to look at; converting it to grey turns the ids
0, 1, 2, 3 into 0, 38, 75, 113. So ids are taken as stored, whatever colours they are shown in.
Lossy files (JPEG, lossy WebP) are refused: they invent ids along every edge.
"""

import struct
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from torch import Tensor

from segscape.io.atomic import atomic_file
from segscape.io.image_files import PIXEL_LIMIT, orientation_of
from segscape.io.image_formats import DECODERS, open_image, refuse_bomb
from segscape.io.label_coding import VOID_COLOR, LabelCoding
from segscape.io.orientation import UPRIGHT, orient
from segscape.io.png_chunks import GREY, PALETTE, PngHeader, read_png_header, refuse_missing_rows
from segscape.structures import LabelMap, MaskFileError, OutputError, Size
from segscape.structures.colors import default_color

_LARGEST_8, _LARGEST_16 = 255, 65535
_LOSSY = "is lossy, which invents ids along every edge: export masks as PNG"


def read_ids(
    path: str | Path, *, pixel_limit: int = PIXEL_LIMIT
) -> Integer[Tensor, "height width"]:
    """Read the ids of a mask as stored, upright.

    Palettes by index; grey of 1, 2, 4, 8 or 16 bits by its stored value, so that 1-bit masks give
    0 and 1; TIFF also with 32 bits and signed. The type is the smallest of `uint8`, `int32` and
    `int64` that holds the file's (uint16 becomes int32).

    Raises:
        ImageFileError: when the file is missing, damaged or no image.
        MaskFileError: when it is lossy, in colour or partly transparent, or holds fractions.
    """
    path = Path(path)
    stored = read_stored(path, pixel_limit=pixel_limit)
    if stored.ndim == 3:
        raise MaskFileError(
            f"{path}: is an RGB image, expected one id per pixel: save the mask with one channel, "
            "or give the classes their colors"
        )
    return stored


def read_label_map(
    path: str | Path, coding: LabelCoding, *, pixel_limit: int = PIXEL_LIMIT
) -> LabelMap:
    """Read a mask: ids through the coding, or an RGB-coded mask through the taxonomy's colours.

    Raises:
        ImageFileError: when the file is missing, damaged or no image.
        MaskFileError: when it is lossy or partly transparent, or holds ids or colours that mean
            nothing; the message lists them with their numbers of pixels.
    """
    path = Path(path)
    stored = read_stored(path, pixel_limit=pixel_limit)
    if stored.ndim == 3:
        return coding.colors_to_labels(stored, source=str(path))
    return coding.to_labels(stored, source=str(path))


def write_label_map(
    path: str | Path, label_map: LabelMap, *, coding: LabelCoding | None = None
) -> None:
    """Write a PNG whose values are the ids in files: with a palette up to 255, else 16-bit grey.

    Void is `coding.void_id`: 255 unless a category has it. The palette shows the taxonomy's
    colours. The file appears whole or not at all.

    Args:
        path: ends in `.png`.
        label_map: what to write.
        coding: the ids to use; None for 0..n-1.

    Raises:
        OutputError: when the suffix is another, an id exceeds 65535, or the disk refuses.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: masks are written as PNG: use the suffix .png")
    coding = coding or LabelCoding.plain(label_map.taxonomy)
    ids = coding.to_ids(label_map).numpy()
    most = max(*coding.file_ids, coding.void_id)
    if most > _LARGEST_16:
        raise OutputError(f"{path}: id {most} does not fit into a PNG of 16 bits: use smaller ids")
    if most <= _LARGEST_8:
        picture = Image.fromarray(ids.astype(np.uint8))
        picture.putpalette([value for color in palette_of(coding) for value in color])
    else:
        picture = Image.fromarray(ids.astype(np.uint16))
    with atomic_file(path) as temporary:
        picture.save(temporary, "PNG", compress_level=4)


def write_ids(path: str | Path, ids: Integer[Tensor, "height width"]) -> None:
    """Write ids as they are into a grey PNG of 16 bits, whole or not at all.

    Args:
        path: ends in `.png`.
        ids: 0..65535.

    Raises:
        OutputError: when the suffix is another, an id does not fit, or the disk refuses.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: ids are written as PNG: use the suffix .png")
    least, most = int(ids.min()), int(ids.max())
    if least < 0 or most > _LARGEST_16:
        raise OutputError(
            f"{path}: ids from {least} to {most} do not fit into a PNG of 16 bits: make fewer, "
            "larger regions"
        )
    picture = Image.fromarray(ids.cpu().numpy().astype(np.uint16))
    with atomic_file(path) as temporary:
        picture.save(temporary, "PNG", compress_level=4)


def palette_of(coding: LabelCoding) -> list[tuple[int, int, int]]:
    """256 colours: at each category's id its own, elsewhere those of Pascal VOC."""
    palette = [default_color(index) for index in range(256)]
    for category, file_id in zip(coding.taxonomy.categories, coding.file_ids, strict=True):
        if file_id <= _LARGEST_8:
            palette[file_id] = category.color
    if coding.void_id <= _LARGEST_8:
        palette[coding.void_id] = VOID_COLOR
    return palette


def read_stored(
    path: str | Path, *, pixel_limit: int = PIXEL_LIMIT
) -> Integer[Tensor, "height width"] | UInt8[Tensor, "3 height width"]:
    """Read ids ("height width") or, from an RGB image, colours ("3 height width"), upright.

    Raises:
        ImageFileError: when the file is missing, damaged or no image.
        MaskFileError: when it is lossy or partly transparent, or holds fractions.
    """
    path = Path(path)
    with open_image(path) as (file, found):
        if found == "JPEG":
            raise MaskFileError(f"{path}: is a JPEG and {_LOSSY}")
        if found == "TIFF":
            values = _read_tiff(file, path, pixel_limit)
        else:
            values = _read_other(file, path, found, pixel_limit)
        if values.ndim == 3:
            values = _without_alpha(values, path)
        elif values.dtype.kind == "f":
            raise MaskFileError(f"{path}: holds fractions ({values.dtype}): save whole ids as PNG")
        return _to_tensor(values)


def _read_tiff(file: BinaryIO, path: Path, pixel_limit: int) -> NDArray[Any]:
    from segscape.io.tiff_pages import TiffPage

    with closing(TiffPage(file, path)) as page:
        refuse_bomb(path, page.size, pixel_limit)
        if page.is_lossy:
            raise MaskFileError(f"{path}: is compressed as JPEG or WebP and {_LOSSY}")
        if page.has_more_pages():
            raise MaskFileError(f"{path}: has several pages: save one mask per file")
        if page.readable:
            samples = page.read_samples(0, 0, *page.size)
            if page.samples == 1:
                return samples[..., 0]
            if page.samples == 2:
                return samples
            if samples.dtype != np.uint8 or page.layout() not in ("rgb", "rgb+alpha"):
                raise MaskFileError(
                    f"{path}: holds {page.samples} samples of {samples.dtype} per pixel, expected "
                    "one id or 8-bit red, green, blue"
                )
            return samples
    file.seek(0)
    image = DECODERS["TIFF"](file)
    return _stored_values(image, path, None)


def _read_other(file: BinaryIO, path: Path, found: str, pixel_limit: int) -> NDArray[Any]:
    header, orientation = None, UPRIGHT
    if found == "WebP" and _is_lossy_webp(file):
        raise MaskFileError(f"{path}: is a lossy WebP and {_LOSSY}")
    if found == "PNG":
        header = read_png_header(file, str(path), check_sums=True)
        orientation = header.orientation
    image = DECODERS[found](file)
    refuse_bomb(path, Size(image.height, image.width), pixel_limit)
    if getattr(image, "is_animated", False):
        raise MaskFileError(f"{path}: is animated: save one mask per file")
    if orientation == UPRIGHT:
        orientation = orientation_of(image)
    if header is not None and header.bit_depth == 16 and header.color_type != GREY:
        raise MaskFileError(f"{path}: holds 16-bit colors, expected ids or 8-bit colors")
    if header is not None:
        refuse_missing_rows(file, str(path), header, image)
    return orient(_stored_values(image, path, header), orientation)


def _stored_values(image: ImageFile, path: Path, header: PngHeader | None) -> NDArray[Any]:
    """Indices or grey values as stored, (height, width), or colours, (height, width, channel)."""
    mode = image.mode
    if mode in ("P", "PA"):
        # By index. PA's alpha is judged with the others'.
        values = np.asarray(image)
        if mode == "PA" and (values[..., 1] != 255).any():
            raise _partly_transparent(path)
        return values[..., 0] if mode == "PA" else values
    if mode == "1":
        return np.asarray(image).astype(np.uint8)
    if mode in ("L", "LA", "RGB", "RGBA", "RGBX") or mode.startswith("I;16"):
        values = np.asarray(image)
        if (
            header is not None
            and header.color_type not in (PALETTE,)
            and header.bit_depth in (2, 4)
        ):
            # Pillow scales grey of 2 and 4 bits up to 0..255: back to what is stored.
            values = values // np.uint8(255 // ((1 << header.bit_depth) - 1))
        return values
    raise MaskFileError(f"{path}: pixel mode '{mode}' holds no ids: save the mask as PNG")


def _without_alpha(values: NDArray[Any], path: Path) -> NDArray[Any]:
    channels = values.shape[2]
    if channels in (2, 4) and not _is_opaque(values[..., -1]):
        raise _partly_transparent(path)
    return values[..., 0] if channels <= 2 else values[..., :3]


def _is_opaque(alpha: NDArray[Any]) -> bool:
    return alpha.dtype.kind == "u" and bool((alpha == np.iinfo(alpha.dtype).max).all())


def _partly_transparent(path: Path) -> MaskFileError:
    return MaskFileError(
        f"{path}: has transparent pixels, whose id is unclear: export the mask without alpha"
    )


def _is_lossy_webp(file: BinaryIO) -> bool:
    """True when any chunk of the RIFF file is VP8 (lossy); VP8L is lossless."""
    file.seek(12)
    lossy = False
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        lossy = lossy or kind == b"VP8 "
        if kind == b"ANMF":
            length = 16  # frames hold chunks of their own after 16 bytes
        file.seek(length + length % 2, 1)
    file.seek(0)
    return lossy


def _to_tensor(values: NDArray[Any]) -> Tensor:
    kind, width = values.dtype.kind, values.dtype.itemsize
    if values.ndim == 3:
        return torch.from_numpy(np.array(values.transpose(2, 0, 1), order="C"))
    if kind == "b" or (kind == "u" and width == 1):
        small: type[Any] = np.uint8
    else:
        small = np.int32 if width < 4 or (kind == "i" and width == 4) else np.int64
    return torch.from_numpy(np.array(values, dtype=small, order="C"))
