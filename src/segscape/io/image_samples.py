"""Image files with their own depth and channels, for methods that compute on pixels as measured.

What the numbers mean is said in `pixel_values`, but that nothing is rounded to 8 bits, grey stays
one channel, and a TIFF may hold any number of channels.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

from segscape.io.image_files import PIXEL_LIMIT, png_samples, read_image, warn_of_more
from segscape.io.image_formats import DECODERS, open_image, refuse_bomb
from segscape.io.orientation import orient
from segscape.io.pixel_values import CHANNELS, Layout, over_white, refuse_other_fractions, to_bytes
from segscape.io.png_chunks import read_png_header
from segscape.structures import ImageFileError

if TYPE_CHECKING:
    from segscape.io.tiff_pages import TiffPage

# Pillow's modes of one channel, with or without transparency.
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")


def read_samples(
    path: str | Path, *, pixel_limit: int = PIXEL_LIMIT
) -> Shaped[Tensor, "channel height width"]:
    """Read an image file as it is stored, upright.

    Args:
        path: a file of `read_image`.
        pixel_limit: the most pixels (height times width) that are decoded.

    Returns:
        uint8 up to 8 bits, uint16 up to 16 (scaled to the full range of 16), int16 from 0, or
        float32 in [0, 1]. One channel for grey, three for colour, palettes and inks, and all of a
        TIFF with others, as of infrared. Transparency is laid over white.

    Raises:
        ImageFileError: as `read_image`; for samples below 0 and 32-bit integers, too.
    """
    path = Path(path)
    with open_image(path) as (file, found):
        samples = None
        if found == "TIFF":
            samples = _tiff_samples(file, path, pixel_limit)
        elif found == "PNG":
            samples = _deep_png_samples(file, path, pixel_limit)
        if samples is not None:
            return torch.from_numpy(np.array(samples.transpose(2, 0, 1), order="C"))
        file.seek(0)
        is_grey = DECODERS[found](file).mode in _GREY_MODES
    image = read_image(path, pixel_limit=pixel_limit)
    return image[:1].clone() if is_grey else image


def _deep_png_samples(file: BinaryIO, path: Path, pixel_limit: int) -> NDArray[Any] | None:
    """None for 8 bits and less."""
    header = read_png_header(file, str(path), check_sums=False)
    if header.bit_depth < 16:
        return None
    refuse_bomb(path, header.size, pixel_limit)
    read_png_header(file, str(path), check_sums=True)
    samples, layout = png_samples(file)
    return orient(_on_white(samples, layout), header.orientation)


def _on_white(samples: NDArray[Any], layout: Layout | None) -> NDArray[Any]:
    return samples if layout in (None, "grey", "rgb") else over_white(samples, layout)


def _tiff_samples(file: BinaryIO, path: Path, pixel_limit: int) -> NDArray[Any] | None:
    """None for what only `read_image` turns into colours."""
    # Imported here as there: tifffile takes a while to load.
    from segscape.io.tiff_pages import TiffPage

    with closing(TiffPage(file, path)) as page:
        refuse_bomb(path, page.size, pixel_limit)
        if not page.readable or page.is_palette:
            return None
        layout: Layout | None = None if page.has_unnamed_samples else page.layout()
        if layout == "cmyk":
            return None
        if page.has_more_pages():
            warn_of_more(path, "pages")
        raw = page.read_samples(0, 0, *page.size)
        samples = _full_range(raw if layout is None else raw[..., : CHANNELS[layout]], page, path)
        if page.is_white_at_zero:
            full = 1 if samples.dtype.kind == "f" else np.iinfo(samples.dtype).max
            samples = np.concatenate([full - samples[..., :1], samples[..., 1:]], axis=2)
    return _on_white(samples, layout)


def _full_range(samples: NDArray[Any], page: TiffPage, path: Path) -> NDArray[Any]:
    """The samples in a type whose full range is white."""
    kind, width = samples.dtype.kind, samples.dtype.itemsize * 8
    if kind == "f":
        refuse_other_fractions(samples, str(path))
        return samples.astype(np.float32)
    if kind == "i" and width == 16:
        if samples.min() < 0:
            raise ImageFileError(
                f"{path}: holds samples below 0, down to {samples.min()}: save it unsigned, or as "
                "floats in [0, 1]"
            )
        return samples
    if kind != "u" or width != 16 or page.bits <= 8:
        return to_bytes(samples, str(path), bits=page.bits if kind == "u" else None)
    if page.bits == 16:
        return samples
    full = np.uint32((1 << page.bits) - 1)
    return ((samples * np.uint32(65535) + full // 2) // full).astype(np.uint16)
