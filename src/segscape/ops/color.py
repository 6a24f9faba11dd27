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
_BLOCK = 1024


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


# Short loops over blocks, without a branch inside or a check for divisors of 0: so the processor
# takes eight or sixteen pixels at a time.
@numba.njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _convert(
    image: Float32[np.ndarray, "3 pixel"],
    out: Float32[np.ndarray, "3 pixel"],
    linear: Float32[np.ndarray, " step"],
    luv: bool,
) -> None:
    """Convert block by block; `linear` undoes sRGB's gamma by linear interpolation."""
    light = np.empty((3, _BLOCK), np.float32)
    share = np.empty((3, _BLOCK), np.float32)
    roots = np.empty((3, _BLOCK), np.float32)
    for start in range(0, image.shape[1], _BLOCK):
        size = min(_BLOCK, image.shape[1] - start)
        result = out[:, start : start + size]
        for channel in range(3):
            _undo_gamma(image[channel, start : start + size], linear, light[channel])
        for channel in range(3):
            _share_of_white(light, _TO_XYZ[channel], _WHITE[channel], share[channel, :size])
            if channel == 1 or not luv:
                _lightness_roots(share[channel, :size], roots[channel])
        if luv:
            _to_luv(share, roots[1], result)
        else:
            _to_lab(roots, result)


@numba.njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _undo_gamma(
    values: Float32[np.ndarray, " pixel"],
    linear: Float32[np.ndarray, " step"],
    light: Float32[np.ndarray, " place"],
) -> None:
    for i in range(values.size):
        place = min(max(values[i], np.float32(0)), np.float32(1)) * np.float32(_STEPS)
        step = np.int32(place)
        below = linear[step]
        light[i] = below + (place - np.float32(step)) * (linear[step + 1] - below)


@numba.njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _share_of_white(
    light: Float32[np.ndarray, "3 place"],
    row: Float32[np.ndarray, "3"],
    white: np.float32,
    share: Float32[np.ndarray, " pixel"],
) -> None:
    """X, Y or Z, as a share of that of white."""
    red, green, blue = light[0], light[1], light[2]
    of_red, of_green, of_blue = row[0] / white, row[1] / white, row[2] / white
    for i in range(share.size):
        share[i] = of_red * red[i] + of_green * green[i] + of_blue * blue[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _lightness_roots(
    share: Float32[np.ndarray, " pixel"], roots: Float32[np.ndarray, " place"]
) -> None:
    """The cube root, or the line that continues it near 0."""
    for i in range(share.size):
        value = share[i]
        # Halley's iteration, each step trebling the digits: three from a line reach float32's own.
        root = np.float32(0.3) + np.float32(0.72) * value
        for _ in range(3):
            cube = root * root * root
            root = root * (cube + value + value) / (cube + cube + value)
        line = _SLOPE * value + np.float32(4 / 29)
        roots[i] = line if value <= _LINE_BELOW else root


@numba.njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _to_lab(roots: Float32[np.ndarray, "3 place"], result: Float32[np.ndarray, "3 pixel"]) -> None:
    lightness, a, b = result[0], result[1], result[2]
    x, y, z = roots[0], roots[1], roots[2]
    for i in range(lightness.size):
        lightness[i] = np.float32(116) * y[i] - np.float32(16)
        a[i] = np.float32(500) * (x[i] - y[i])
        b[i] = np.float32(200) * (y[i] - z[i])


@numba.njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _to_luv(
    share: Float32[np.ndarray, "3 place"],
    root: Float32[np.ndarray, " place"],
    result: Float32[np.ndarray, "3 pixel"],
) -> None:
    lightness, u, v = result[0], result[1], result[2]
    x, y, z = share[0], share[1], share[2]
    white = _WHITE[0] + np.float32(15) * _WHITE[1] + np.float32(3) * _WHITE[2]
    white_u, white_v = np.float32(4) * _WHITE[0] / white, np.float32(9) * _WHITE[1] / white
    for i in range(lightness.size):
        light = np.float32(116) * root[i] - np.float32(16)
        total = _WHITE[0] * x[i]
        total += np.float32(15) * _WHITE[1] * y[i] + np.float32(3) * _WHITE[2] * z[i]
        # Black has no colour: its lightness of 0 makes u and v 0, whatever it is divided by.
        total = max(total, np.float32(1e-9))
        lightness[i] = light
        u[i] = np.float32(13) * light * (np.float32(4) * _WHITE[0] * x[i] / total - white_u)
        v[i] = np.float32(13) * light * (np.float32(9) * _WHITE[1] * y[i] / total - white_v)
