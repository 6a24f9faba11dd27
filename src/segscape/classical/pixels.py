"""What every method here starts from: checked pixels, and colours in which to compare them."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float32, Shaped
from torch import Tensor

from segscape.ops.color import gray_to_lightness, rgb_to_lab, rgb_to_luv
from segscape.structures import MethodError

_FULL_SCALE = {
    torch.bool: 1.0,
    torch.uint8: 255.0,
    torch.int16: 32767.0,
    torch.uint16: 65535.0,
    torch.int32: 65535.0,
}
# Floats so far beyond 0..1 are overshoot of resizing; farther ones are of another unit.
_BEYOND = 0.5
# Squares of differences beyond this, or below its inverse, would leave float32.
_LARGEST = 1e17
# No method does with less than the pixels as floats and another array of their size.
_LEAST_COPIES = 2


def float_pixels(
    image: Shaped[Tensor, "channel height width"], method: str
) -> Float32[Tensor, "channel height width"]:
    """Bring an image of any type to float32, for methods that do not depend on its unit.

    Args:
        image: `uint8`, 16-bit (`uint16`, `int16`, or as `int32` from 0 to 65535), brought to 0..1
            by their full scale; or floating, of any range; any number of channels.
        method: its name, for the error.

    Raises:
        MethodError: for an image without pixels or channels, of another type, with a value that
            is not finite in float32, of extreme values, or too large for the memory.
    """
    if not isinstance(image, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance] - arrays come
        raise MethodError(
            f"{method} got a {type(image).__name__}, expected a tensor of channel x height x "
            "width: read_image gives one, torch.from_numpy makes one of an array"
        )
    if image.ndim != 3 or image.numel() == 0:
        raise MethodError(
            f"{method} got an image of shape {tuple(image.shape)}, "
            "expected channel x height x width, each at least 1"
        )
    refuse_beyond_memory(
        _LEAST_COPIES * 4.0 * image.numel(), method, "shrink the image or cut it into tiles"
    )
    if image.is_floating_point():
        pixels = image.detach().to("cpu", torch.float32)
        if not bool(torch.isfinite(pixels).all()):
            count = int((~torch.isfinite(pixels)).sum())
            raise MethodError(
                f"{method} got an image with {count:,} values that are nan or infinite (or beyond "
                "float32): fill them first, as by torch.nan_to_num, or divide the image"
            )
        largest = float(pixels.abs().max())
        if largest and not 1 / _LARGEST <= largest <= _LARGEST:
            raise MethodError(
                f"{method} got an image of values up to {largest:.3g}, expected {1 / _LARGEST:g} "
                f"to {_LARGEST:g}: divide it by {largest:.3g}"
            )
        return pixels
    if image.dtype not in _FULL_SCALE:
        raise MethodError(
            f"{method} got an image of {image.dtype}, expected uint8, 16-bit integers or floats: "
            "convert it, as by image.float() / its largest possible value"
        )
    return image.detach().cpu().to(torch.float32) / _FULL_SCALE[image.dtype]


def unit_pixels(
    image: Shaped[Tensor, "channel height width"], method: str
) -> Float32[Tensor, "channel height width"]:
    """Bring an image to 0..1, for methods whose options are in levels of it or in L*.

    Floats of one or three channels must be there already, or little beyond, as after resizing;
    other numbers of channels are features, which may have any range.

    Raises:
        MethodError: as `float_pixels`, and for a gray or RGB image far beyond 0..1.
    """
    pixels = float_pixels(image, method)
    if image.is_floating_point() and pixels.shape[0] in (1, 3):
        low, high = (float(value) for value in torch.aminmax(pixels))
        if not (low >= -_BEYOND and high <= 1 + _BEYOND):
            raise MethodError(
                f"{method} got a floating image of {low:.4g} to {high:.4g}, expected 0 to 1: "
                "divide it by the largest value it may have, as 255"
            )
    return pixels


def luv_pixels(
    image: Shaped[Tensor, "channel height width"], method: str
) -> Float32[Tensor, "channel height width"]:
    """Bring an image to L*u*v*; a gray one to L*; other channels to 0..100, the range of L*.

    Raises:
        MethodError: as `unit_pixels`.
    """
    return _perceived(unit_pixels(image, method), rgb_to_luv)


def lab_pixels(
    image: Shaped[Tensor, "channel height width"], method: str
) -> Float32[Tensor, "channel height width"]:
    """Bring an image to L*a*b*; a gray one to L*; other channels to 0..100, the range of L*.

    Raises:
        MethodError: as `unit_pixels`.
    """
    return _perceived(unit_pixels(image, method), rgb_to_lab)


def _perceived(
    pixels: Float32[Tensor, "channel height width"], convert: Callable[[Tensor], Tensor]
) -> Float32[Tensor, "channel height width"]:
    if pixels.shape[0] == 3:
        return convert(pixels)
    return gray_to_lightness(pixels) if pixels.shape[0] == 1 else 100 * pixels


def refuse_beyond_memory(need: float, method: str, cure: str) -> None:
    """Refuse work that this machine cannot hold, before it begins.

    Args:
        need: the bytes it will take at its peak.
        method: its name, for the error.
        cure: what to do instead, as "shrink the image".

    Raises:
        MethodError: when `need` is more than the memory that is free.
    """
    free = _free_memory()
    if need > free:
        raise MethodError(
            f"{method} would need about {need / 2**30:.1f} GB and {free / 2**30:.1f} GB are free: "
            f"{cure}"
        )


def _free_memory() -> float:
    """Bytes that can be taken without swapping; without limit where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration):
        pass
    try:
        return 1.0 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return float("inf")
