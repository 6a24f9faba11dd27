"""A unit in which colours are about 0 in the mean and 1 in size, whatever the image's own."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

# The unit is learned from about this many pixels.
_SAMPLE = 100_000


@dataclass(frozen=True)
class ColorUnit:
    """Pixels are compared as (pixel - shift) / scale.

    The scale is one for all channels, so that nothing but the unit of densities changes.

    Args:
        shift: the mean of each channel.
        scale: the root of the mean variance, 1 where all pixels are equal.
    """

    # The variance to within which colours are known, in this unit: about what rounding to 8 bits
    # leaves in a photograph.
    NOISE = 2e-5

    shift: Float32[ndarray, "channel"]
    scale: float

    @classmethod
    def of(cls, pixels: Float32[ndarray, "channel *grid"]) -> "ColorUnit":
        """Learn it from some of an image's or a volume's pixels."""
        step = sampling_step(pixels[0].size)
        some = pixels[..., ::step, ::step].reshape(len(pixels), -1)
        shift = some.mean(axis=1, dtype=np.float64)
        variance = np.square(some - shift[:, None]).mean()
        return cls(shift.astype(np.float32), float(np.sqrt(variance)) or 1.0)

    def standard(
        self, pixels: Float32[ndarray, "channel *any"]
    ) -> Float32[ndarray, "channel *any"]:
        """Pixels in this unit."""
        standard = pixels - self.shift.reshape(-1, *(1 for _ in pixels.shape[1:]))
        standard /= np.float32(self.scale)
        return np.ascontiguousarray(standard)


def sampling_step(count: int) -> int:
    """Every how many rows and columns of so many pixels a sample is taken.

    >>> sampling_step(481 * 321), sampling_step(12_000_000)
    (1, 11)
    """
    return max(1, round((count / _SAMPLE) ** 0.5))
