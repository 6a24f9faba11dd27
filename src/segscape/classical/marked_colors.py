"""What a colour costs as background and as object, learned from the pixels marked as either.

Boykov and Jolly 2001, "Interactive graph cuts for optimal boundary & region segmentation of
objects in N-D images" (doi:10.1109/ICCV.2001.937505), equations 2 and 3 of the regional term:
-ln Pr(I_p | background) and -ln Pr(I_p | object). They took histograms of grey levels; mixtures of
Gaussians are those of `ops/gaussian_mixture.py`.
"""

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray
from scipy import ndimage

from segscape.classical.color_unit import ColorUnit
from segscape.classical.object_marks import BACKGROUND, OBJECT
from segscape.ops.gaussian_mixture import sampled_mixture

_BINS = 16


class MarkedMixtures:
    """Costs by two mixtures of Gaussians; densities, so they may be below zero.

    Args:
        pixels: of an image or a volume.
        marks: 0 for background, 1 for object, each at least once; 255 elsewhere.
        components: Gaussians in each mixture.
        seed: chooses the pixels from which the mixtures start.
    """

    def __init__(
        self,
        pixels: Float32[ndarray, "channel *grid"],
        marks: UInt8[ndarray, "*grid"],
        components: int,
        seed: int,
    ) -> None:
        self._unit = ColorUnit.of(pixels)
        self._mixtures = [
            sampled_mixture(
                self._unit.standard(pixels[:, marks == label]), components, ColorUnit.NOISE, seed
            )
            for label in (BACKGROUND, OBJECT)
        ]

    def costs(self, pixels: Float32[ndarray, "channel *any"]) -> list[Float32[ndarray, "*any"]]:
        """What each pixel costs as background, and as object."""
        flat = self._unit.standard(pixels.reshape(len(pixels), -1))
        return [
            mixture.negative_log_density(flat).reshape(pixels.shape[1:])
            for mixture in self._mixtures
        ]


class MarkedHistograms:
    """Costs by histograms, blurred by a bin, with one more pixel spread over all bins.

    Args:
        pixels: of up to 3 channels.
        marks: as for `MarkedMixtures`.
    """

    def __init__(
        self, pixels: Float32[ndarray, "channel *grid"], marks: UInt8[ndarray, "*grid"]
    ) -> None:
        axes = tuple(range(1, pixels.ndim))
        self._low = pixels.min(axis=axes)
        self._span = np.maximum(pixels.max(axis=axes) - self._low, np.float32(1e-12))
        shape = (_BINS,) * len(pixels)
        bins = _BINS ** len(pixels)
        self._costs: list[Float32[ndarray, " bin"]] = []
        for label in (BACKGROUND, OBJECT):
            bin_of = self._bins(pixels[:, marks == label])
            counts = np.bincount(bin_of, minlength=bins).astype(np.float64)
            blurred = ndimage.gaussian_filter(counts.reshape(shape), 1.0).ravel()
            share = (blurred + 1 / bins) / (counts.sum() + 1)
            self._costs.append(-np.log(share).astype(np.float32))

    def costs(self, pixels: Float32[ndarray, "channel *any"]) -> list[Float32[ndarray, "*any"]]:
        """What each pixel costs as background, and as object."""
        bin_of = self._bins(pixels)
        return [costs[bin_of] for costs in self._costs]

    def _bins(self, pixels: Float32[ndarray, "channel *any"]) -> ndarray:
        code = np.zeros(pixels.shape[1:], np.int64)
        for channel, low, span in zip(pixels, self._low, self._span, strict=True):
            place = np.minimum((channel - low) / span * _BINS, _BINS - 1)
            code = code * _BINS + place.astype(np.int64)
        return code
