"""Other light: brightness, contrast, saturation and hue."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from segscape.structures import LabelMap, Sample
from segscape.transforms import options

# ITU-R BT.601: how bright red, green and blue look.
_LUMA = np.array([0.299, 0.587, 0.114])
# The two axes of colour difference of the NTSC's YIQ space, in which hue is an angle.
_I = np.array([0.595716, -0.274453, -0.321263])
_Q = np.array([0.211456, -0.522591, 0.311135])
_TO_YIQ = np.stack([_LUMA, _I, _Q])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


@dataclass(frozen=True)
class ColorJitter:
    """Change brightness, contrast, saturation and hue by random amounts.

    All four are linear in the colour, so they are one matrix and one rounding; hue turns colours
    about the grey axis of YIQ, which keeps their brightness (in HSV, as elsewhere, it would not).
    Without saturation and hue, or where there are not three channels, it is a table of 256 values.

    Args:
        brightness: values are multiplied by a factor within 1 ± this, not below 0.
        contrast: distances from the mean brightness are multiplied by such a factor.
        saturation: distances from grey are multiplied by such a factor.
        hue: colours turn by at most this part of a circle either way, in [0, 0.5].
        probability: in [0, 1], how often.

    Raises:
        StructureError: for options out of range.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        for option in ("brightness", "contrast", "saturation"):
            value = options.number("color_jitter", option, getattr(self, option))
            object.__setattr__(self, option, value)
        object.__setattr__(self, "hue", options.number("color_jitter", "hue", self.hue, 0.0, 0.5))
        options.probability("color_jitter", "probability", self.probability)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Change the image; labels and weights stay."""
        if generator.random() >= self.probability:
            return sample
        # Every number is drawn whatever the options, so that one option does not move the others.
        brightness, contrast, saturation = (
            generator.uniform(max(0.0, 1 - amount), 1 + amount)
            for amount in (self.brightness, self.contrast, self.saturation)
        )
        turn = generator.uniform(-self.hue, self.hue)
        gain, shift = brightness * contrast, 0.0
        if self.contrast > 0:
            shift = brightness * (1 - contrast) * _mean_brightness(sample.image)
        if len(sample.image) == 3 and (self.saturation > 0 or self.hue > 0):
            matrix = gain * _color_matrix(saturation, turn)
            return replace(sample, image=_by_matrix(sample.image, matrix, shift))
        return replace(sample, image=_by_table(sample.image, gain, shift))


def _mean_brightness(image: UInt8[Tensor, "channel height width"]) -> float:
    means = image.float().mean((1, 2)).numpy()
    return float(_LUMA @ means) if len(means) == 3 else float(means.mean())


def _color_matrix(saturation: float, turn: float) -> Float64[np.ndarray, "3 3"]:
    """Scale and turn the plane of colour differences; brightness stays."""
    cosine, sine = (saturation * f(2 * math.pi * turn) for f in (math.cos, math.sin))
    plane = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    return _FROM_YIQ @ plane @ _TO_YIQ


def _by_matrix(
    image: UInt8[Tensor, "3 height width"], matrix: Float64[np.ndarray, "3 3"], shift: float
) -> UInt8[Tensor, "3 height width"]:
    flat = image.reshape(3, -1).float()
    changed = torch.addmm(torch.full((3, 1), shift), torch.from_numpy(matrix).float(), flat)
    return changed.round_().clamp_(0, 255).to(torch.uint8).view_as(image)


def _by_table(
    image: UInt8[Tensor, "channel height width"], gain: float, shift: float
) -> UInt8[Tensor, "channel height width"]:
    table = np.clip(np.round(np.arange(256) * gain + shift), 0, 255).astype(np.uint8)
    # bytearray.translate looks up faster than an indexed tensor by a factor of ten.
    changed = bytearray(image.contiguous().numpy()).translate(table.tobytes())
    return torch.frombuffer(changed, dtype=torch.uint8).view(image.shape)
