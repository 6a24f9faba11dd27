"""Boykov and Jolly's graph cut of images of many megapixels: a coarse cut, then a band around it.

Lombaert, Sun, Grady and Xu 2005, "A multilevel banded graph cuts method for fast image
segmentation" (doi:10.1109/ICCV.2005.13); differences from the paper are those of `banded_cut`.

Time is that of the coarse cut, of the band, and of one pass over the image; memory is that of the
image as floats. The cut is that of `graph_cut` up to what is thinner than a block.
"""

import numpy as np
import torch
from jaxtyping import Float32, Shaped, UInt8
from numpy import ndarray
from torch import Tensor

from segscape.classical.banded_cut import (
    BACKGROUND,
    OBJECT,
    UNKNOWN,
    Window,
    band_marks,
    coarse_factor,
    cut_in_tiles,
    enlarged,
    shrunk_marks,
    shrunk_pixels,
)
from segscape.classical.graph_cut import GraphCut, graph_cut
from segscape.classical.pixels import unit_pixels
from segscape.ops.contrast import boundary_costs, mean_sharpness, neighbours
from segscape.ops.gaussian_mixture import GaussianMixture, sampled_mixture
from segscape.ops.max_flow import EIGHT
from segscape.structures import MethodError

# The variance to within which colours are known, as a share of the image's: rounding to 8 bits.
_NOISE = 2e-5
_ROWS = 256


def banded_graph_cut(
    image: Shaped[Tensor, "channel height width"],
    marks: UInt8[Tensor, "marked_height marked_width"],
    *,
    regional_weight: float = 0.1,
    sigma: float | None = None,
    components: int = 5,
    coarse_to_fine: int | None = None,
    seed: int = 0,
) -> GraphCut:
    """Cut out the object that marks show from a large image.

    Args:
        image: `uint8`, 16-bit or floating, of any number of channels.
        marks: 0 for background, 1 for object, 255 for what is to be found out; marks stay.
        regional_weight: how much colours count against boundaries, the paper's lambda: 0 or more.
        sigma: the difference of neighbours, in an image of 0..1, up to which a boundary between
            them is dear, above 0; by default the root of the image's mean squared difference.
        components: Gaussians in each mixture, 1 to 100.
        coarse_to_fine: 2 to 64 cuts blocks of so many pixels across, and then a band around the
            object at full size; 1 cuts at full size at once. By default 1 for images of up to a
            megapixel, and about 0.3 million blocks above.
        seed: chooses the pixels from which the mixtures start.

    Raises:
        MethodError: as `graph_cut`; for `coarse_to_fine` out of range.
    """
    pixels = unit_pixels(image, "banded_graph_cut").numpy()
    _, height, width = pixels.shape
    factor = coarse_factor(height, width, coarse_to_fine, "banded_graph_cut")
    known = _checked(marks, pixels.shape[1:])
    small, small_marks = pixels, known
    if factor > 1:
        small, small_marks = shrunk_pixels(pixels, factor), shrunk_marks(known, factor)
    coarse = graph_cut(
        torch.from_numpy(small),
        torch.from_numpy(small_marks),
        # A block's data stands for factor^2 pixels, its side for factor of them.
        regional_weight=regional_weight * factor,
        sigma=sigma,
        components=components,
        seed=seed,
    )
    if factor == 1:
        return coarse
    costs = _Costs(pixels, known, regional_weight, sigma, components, seed)
    blocks = coarse.mask.numpy().astype(np.uint8)
    band = band_marks(known, blocks, factor)
    label = cut_in_tiles(band, enlarged(blocks, known, factor), costs.of_window)
    return GraphCut(torch.from_numpy(label == OBJECT), costs.energy(label))


class _Costs:
    """What pixels and boundaries cost in a window, after colours learned from all marks."""

    def __init__(
        self,
        pixels: Float32[ndarray, "channel height width"],
        marks: UInt8[ndarray, "height width"],
        regional_weight: float,
        sigma: float | None,
        components: int,
        seed: int,
    ) -> None:
        self._pixels, self._weight = pixels, np.float32(regional_weight)
        self._sharpness = mean_sharpness(pixels) if sigma is None else 1 / (2 * sigma**2)
        flat = torch.from_numpy(pixels).flatten(1)
        variance, mean = torch.var_mean(flat, dim=1, correction=0)
        self._shift = mean.numpy()[:, None]
        self._scale = np.float32(float(variance.mean()) ** 0.5 or 1.0)
        self._mixtures: list[GaussianMixture] = [
            sampled_mixture(self._standard(pixels[:, marks == label]), components, _NOISE, seed)
            for label in (BACKGROUND, OBJECT)
        ]

    def of_window(self, window: Window) -> tuple[ndarray, ndarray]:
        part = np.ascontiguousarray(self._pixels[(slice(None), *window)])
        of_background, of_object = self._regional(part)
        return of_background - of_object, boundary_costs(part, sharpness=self._sharpness)

    def energy(self, label: UInt8[ndarray, "height width"]) -> float:
        """The paper's equation 1, by strips of rows."""
        height = len(label)
        total = 0.0
        for top in range(0, height, _ROWS):
            part = np.ascontiguousarray(self._pixels[:, top : top + _ROWS + 1])
            own = label[top : top + _ROWS + 1]
            rows = min(_ROWS, height - top)
            regional = self._regional(part[:, :rows])
            data = np.where(own[:rows] == OBJECT, regional[OBJECT], regional[BACKGROUND])
            total += float(data.sum(dtype=np.float64))
            boundary = boundary_costs(part, sharpness=self._sharpness)
            boundary[:, rows:] = 0
            for cost, (start, end) in zip(boundary, neighbours(own.shape, EIGHT), strict=True):
                total += float(cost[start][own[start] != own[end]].sum(dtype=np.float64))
        return total

    def _regional(
        self, part: Float32[ndarray, "channel height width"]
    ) -> list[Float32[ndarray, "height width"]]:
        flat = self._standard(part.reshape(len(part), -1))
        return [
            self._weight * mixture.negative_log_density(flat).reshape(part.shape[1:])
            for mixture in self._mixtures
        ]

    def _standard(
        self, flat: Float32[ndarray, "channel pixel"]
    ) -> Float32[ndarray, "channel pixel"]:
        """About 1 in size, by one scale for all channels, as in `graph_cut`."""
        return np.ascontiguousarray((flat - self._shift) / self._scale)


def _checked(
    marks: UInt8[Tensor, "marked_height marked_width"], shape: tuple[int, ...]
) -> UInt8[ndarray, "height width"]:
    known = marks.detach().cpu().numpy()
    if known.shape != tuple(shape):
        raise MethodError(
            f"banded_graph_cut got marks of {known.shape} for an image of {tuple(shape)}: "
            "give one mark per pixel"
        )
    values = np.unique(known).tolist()
    if not {BACKGROUND, OBJECT} <= set(values) <= {BACKGROUND, OBJECT, UNKNOWN}:
        raise MethodError(
            f"banded_graph_cut got marks of values {values[:8]}, expected 0 for background and "
            "1 for object, both at least once, and 255 for what is to be found out"
        )
    return known
