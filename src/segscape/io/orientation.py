"""The eight EXIF orientations: which stored pixel is shown where.

Cameras write the picture as the sensor saw it and a tag (274) that says how to turn it. Pillow does
not apply the tag except for TIFF, and annotation tools disagree, so every reader here applies it,
to images and to masks alike.
"""

from typing import Any

from numpy.typing import NDArray
from PIL import Image

from segscape.structures import Size

ORIENTATION_TAG = 274
UPRIGHT = 1
# Orientation: (swap rows and columns first, then flip rows, then flip columns).
_STEPS: dict[int, tuple[bool, bool, bool]] = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def valid_orientation(value: object) -> int:
    """The tag's value when it is one of 1..8, else 1 (upright), as viewers take it."""
    return value if isinstance(value, int) and value in _STEPS else UPRIGHT


def exif_orientation(exif: bytes) -> int:
    """The orientation in a block of EXIF data; 1 when there is none or the block is damaged."""
    block = Image.Exif()
    try:
        block.load(exif)
        return valid_orientation(block.get(ORIENTATION_TAG))
    except Exception:  # noqa: BLE001 Pillow's EXIF parser raises nearly anything on damaged bytes
        # Viewers show such a picture upright: its pixels are whole, only its notes are not.
        return UPRIGHT


def oriented_size(stored: Size, orientation: int) -> Size:
    """The size in which a picture of a stored size is shown."""
    return Size(stored.width, stored.height) if _STEPS[orientation][0] else stored


def orient(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and flip an array whose first two axes are rows and columns; a view, not a copy."""
    swap, flip_rows, flip_columns = _STEPS[orientation]
    if swap:
        pixels = pixels.swapaxes(0, 1)
    if flip_rows:
        pixels = pixels[::-1]
    if flip_columns:
        pixels = pixels[:, ::-1]
    return pixels


def stored_window(
    window: tuple[int, int, int, int], stored: Size, orientation: int
) -> tuple[int, int, int, int]:
    """Where a window (top, left, height, width) of the shown picture lies in the stored one."""
    top, left, height, width = window
    swap, flip_rows, flip_columns = _STEPS[orientation]
    shown = oriented_size(stored, orientation)
    if flip_rows:
        top = shown.height - top - height
    if flip_columns:
        left = shown.width - left - width
    return (left, top, width, height) if swap else (top, left, height, width)
