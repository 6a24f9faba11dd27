"""Colour spaces in which distances mean what an eye sees.

CIE 15:2004, Colorimetry: L*a*b* and L*u*v* under illuminant D65 and the 2 degree observer; sRGB
after IEC 61966-2-1.
"""

from typing import no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

# Linear sRGB to XYZ, and the white point of D65.
_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ],
    dtype=np.float32,
)
_WHITE = np.array([0.95047, 1.0, 1.08883], dtype=np.float32)
# Below this share of white the cube root is continued by a line (CIE 15:2004, 8.2.1).
_LINE_BELOW = np.float32((6 / 29) ** 3)
_SLOPE = np.float32((29 / 6) ** 2 / 3)
_STEPS = 4096


def _linear_table() -> Float32[np.ndarray, "step"]:
    value = np.arange(_STEPS + 2) / _STEPS
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


_LINEAR = _linear_table()


def rgb_to_luv(
    image: Float32[Tensor, "3 height width"],
) -> Float32[Tensor, "3 height width"]:
    """Turn sRGB in 0..1 into L*u*v*: L* in 0..100, u* about -83..175, v* about -134..107.

    Values outside 0..1 are taken for the nearest end.

    >>> rgb_to_luv(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)).flatten().round().tolist()
    [53.0, 175.0, 38.0]
    """
    return _converted(image, luv=True)


def rgb_to_lab(
    image: Float32[Tensor, "3 height width"],
) -> Float32[Tensor, "3 height width"]:
    """Turn sRGB in 0..1 into L*a*b*: L* in 0..100, a* about -86..98, b* about -108..94.

    Values outside 0..1 are taken for the nearest end.

    >>> rgb_to_lab(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)).flatten().round().tolist()
    [53.0, 80.0, 67.0]
    """
    return _converted(image, luv=False)


def gray_to_lightness(
    image: Float32[Tensor, "1 height width"],
) -> Float32[Tensor, "1 height width"]:
    """Turn gray sRGB values in 0..1 into L*, 0..100.

    >>> gray_to_lightness(torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 3)).flatten().round().tolist()
    [0.0, 53.0, 100.0]
    """
    return _converted(image.expand(3, -1, -1), luv=True)[:1]


def _converted(
    image: Float32[Tensor, "3 height width"], *, luv: bool
) -> Float32[Tensor, "3 height width"]:
    flat = np.ascontiguousarray(image.detach().cpu().reshape(3, -1).numpy())
    out = np.empty_like(flat)
    _convert(flat, out, _LINEAR, luv)
    return torch.from_numpy(out).reshape(image.shape)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _convert(
    image: Float32[np.ndarray, "3 pixel"],
    out: Float32[np.ndarray, "3 pixel"],
    linear: Float32[np.ndarray, "step"],
    luv: bool,
) -> None:
    """Convert pixel by pixel; `linear` undoes sRGB's gamma by linear interpolation."""
    for i in range(image.shape[1]):
        x = np.float32(0)
        y = np.float32(0)
        z = np.float32(0)
        for channel in range(3):
            place = min(max(image[channel, i], np.float32(0)), np.float32(1)) * np.float32(_STEPS)
            step = int(place)
            share = place - np.float32(step)
            light = linear[step] + share * (linear[step + 1] - linear[step])
            x += _TO_XYZ[0, channel] * light
            y += _TO_XYZ[1, channel] * light
            z += _TO_XYZ[2, channel] * light
        root_y = _lightness_root(y / _WHITE[1])
        lightness = np.float32(116) * root_y - np.float32(16)
        out[0, i] = lightness
        if luv:
            total = x + np.float32(15) * y + np.float32(3) * z
            white = _WHITE[0] + np.float32(15) * _WHITE[1] + np.float32(3) * _WHITE[2]
            if total > np.float32(1e-9):
                u = np.float32(4) * x / total - np.float32(4) * _WHITE[0] / white
                v = np.float32(9) * y / total - np.float32(9) * _WHITE[1] / white
                out[1, i] = np.float32(13) * lightness * u
                out[2, i] = np.float32(13) * lightness * v
            else:
                out[1, i] = np.float32(0)
                out[2, i] = np.float32(0)
        else:
            root_x = _lightness_root(x / _WHITE[0])
            root_z = _lightness_root(z / _WHITE[2])
            out[1, i] = np.float32(500) * (root_x - root_y)
            out[2, i] = np.float32(200) * (root_y - root_z)


@numba.njit(cache=True, nogil=True, inline="always")
@no_type_check
def _lightness_root(value: np.float32) -> np.float32:
    """The cube root, or the line that continues it near 0."""
    if value <= _LINE_BELOW:
        return _SLOPE * value + np.float32(4 / 29)
    # Halley's iteration, each step trebling the digits: two from a line reach float32's own.
    root = np.float32(0.3) + np.float32(0.72) * value
    for _ in range(3):
        cube = root * root * root
        root = root * (cube + value + value) / (cube + cube + value)
    return root
