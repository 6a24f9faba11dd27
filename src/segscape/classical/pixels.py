"""What every method here starts from: checked pixels, and colours in which to compare them."""

import os
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


def unit_pixels(
    image: Shaped[Tensor, "channel height width"], method: str
) -> Float32[Tensor, "channel height width"]:
    """Bring an image of any type to float32, integers by their full scale to 0..1.

    Args:
        image: `uint8`, 16-bit (`uint16`, `int16`, or as `int32` from 0 to 65535) or floating;
            floating images are taken as they are, 0..1 by custom; any number of channels.
        method: its name, for the error.

    Raises:
        MethodError: for an image without pixels or channels, of another type, or with a value that
            is not finite.
    """
    if image.ndim != 3 or image.numel() == 0:
        raise MethodError(
            f"{method} got an image of shape {tuple(image.shape)}, "
            "expected channel x height x width, each at least 1"
        )
    if image.is_floating_point():
        pixels = image.detach().to("cpu", torch.float32)
        if not bool(torch.isfinite(pixels).all()):
            count = int((~torch.isfinite(pixels)).sum())
            raise MethodError(
                f"{method} got an image with {count:,} values that are nan or infinite: "
                "fill them first, as by torch.nan_to_num"
            )
        return pixels
    if image.dtype not in _FULL_SCALE:
        raise MethodError(
            f"{method} got an image of {image.dtype}, expected uint8, 16-bit integers or floats"
        )
    return image.detach().cpu().to(torch.float32) / _FULL_SCALE[image.dtype]


def luv_pixels(
    image: Shaped[Tensor, "channel height width"], method: str
) -> Float32[Tensor, "channel height width"]:
    """Bring an image to L*u*v*; a gray one to L*; other channels to 0..100, the range of L*.

    Raises:
        MethodError: as `unit_pixels`.
    """
    pixels = unit_pixels(image, method)
    if pixels.shape[0] == 3:
        return rgb_to_luv(pixels)
    return gray_to_lightness(pixels) if pixels.shape[0] == 1 else 100 * pixels


def lab_pixels(
    image: Shaped[Tensor, "channel height width"], method: str
) -> Float32[Tensor, "channel height width"]:
    """Bring an image to L*a*b*; a gray one to L*; other channels to 0..100, the range of L*.

    Raises:
        MethodError: as `unit_pixels`.
    """
    pixels = unit_pixels(image, method)
    if pixels.shape[0] == 3:
        return rgb_to_lab(pixels)
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
