"""What the stored numbers of an image mean as red, green and blue in 0..255.

One rule for every container:

- integers are scaled by the full range of their declared bits, rounded to nearest, never clipped:
  16 bits by v / 257, 12 declared bits by v * 255 / 4095. Data of 12 bits in a file that declares 16
  is therefore dark: the file says so, and guessing another range would change with the image;
- floats must lie in [0, 1] and are multiplied by 255;
- transparent pixels are laid over white, the paper that viewers show them on: the colours hidden
  under alpha 0 are whatever the drawing program left there;
- CMYK is (255 - C)(255 - K) / 255 and so on, without a colour profile.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segscape.structures import ImageFileError

Layout = Literal["grey", "grey+alpha", "rgb", "rgb+alpha", "rgb+premultiplied", "cmyk"]
CHANNELS: dict[Layout, int] = {
    "grey": 1,
    "grey+alpha": 2,
    "rgb": 3,
    "rgb+alpha": 4,
    "rgb+premultiplied": 4,
    "cmyk": 4,
}


def to_bytes(samples: NDArray[Any], name: str, *, bits: int | None = None) -> NDArray[np.uint8]:
    """Scale samples of any type to 0..255.

    Args:
        samples: of any shape.
        name: the file, for the error.
        bits: the bits declared for each sample; None for all the bits of the type.

    Raises:
        ImageFileError: for signed or 32-bit integers and for floats outside [0, 1], whose range is
            anyone's guess.
    """
    kind, width = samples.dtype.kind, samples.dtype.itemsize * 8
    if kind == "b":
        return samples.astype(np.uint8) * np.uint8(255)
    if kind == "f":
        return _fractions_to_bytes(samples, name)
    if kind != "u" or width > 16:
        raise ImageFileError(
            f"{name}: holds {samples.dtype} samples, whose range from black to white is unknown: "
            "save it with 8 or 16 bits unsigned, or as floats in [0, 1]"
        )
    bits = width if bits is None else bits
    if bits == 8:
        return samples.astype(np.uint8, copy=False)
    full = (1 << bits) - 1
    # A table of every value: one look-up per sample instead of a division.
    table = ((np.arange(full + 1, dtype=np.uint32) * 510 + full) // (2 * full)).astype(np.uint8)
    return table[samples]


def _fractions_to_bytes(samples: NDArray[Any], name: str) -> NDArray[np.uint8]:
    refuse_other_fractions(samples, name)
    return np.rint(samples.astype(np.float32) * np.float32(255)).astype(np.uint8)


def refuse_other_fractions(samples: NDArray[Any], name: str) -> None:
    """Refuse floats outside [0, 1].

    Raises:
        ImageFileError: also for nan.
    """
    unknown = int(np.count_nonzero(np.isnan(samples)))
    if unknown:
        raise ImageFileError(f"{name}: holds {unknown:,} values that are nan: fill them first")
    low, high = float(samples.min()), float(samples.max())
    if not (low >= 0 and high <= 1):
        raise ImageFileError(
            f"{name}: holds floats from {low:g} to {high:g}, expected [0, 1]: scale them, or save "
            "the image with 8 or 16 bits"
        )


def to_rgb(pixels: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    """Convert bytes of (height, width, channel) to red, green, blue.

    Exact integer arithmetic, rounded to nearest; transparency over white.
    """
    if layout == "grey":
        return np.broadcast_to(pixels[..., :1], (*pixels.shape[:2], 3))
    if layout == "rgb":
        return pixels[..., :3]
    if layout == "cmyk":
        white = np.uint16(255) - pixels.astype(np.uint16)
        return ((white[..., :3] * white[..., 3:] + 127) // 255).astype(np.uint8)
    return np.broadcast_to(over_white(pixels, layout), (*pixels.shape[:2], 3))


def over_white(pixels: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Lay colours with alpha as their last channel over white; the type is kept.

    Unsigned integers exactly, rounded to nearest; floats have white at 1.
    """
    color, alpha = pixels[..., :-1], pixels[..., -1:]
    if pixels.dtype.kind == "f":
        return (color if layout == "rgb+premultiplied" else color * alpha) + (1 - alpha)
    full = np.iinfo(pixels.dtype).max
    if alpha.min() == full:
        return color
    # At most full * full + full / 2: it fits into twice the bits.
    wide = color.astype(np.uint16 if full == 255 else np.uint32)
    paper = full - alpha.astype(wide.dtype)
    if layout == "rgb+premultiplied":
        over = np.minimum(wide + paper, full)
    else:
        over = (wide * alpha + full * paper + full // 2) // full
    return over.astype(pixels.dtype)
