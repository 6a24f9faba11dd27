"""What a person marks of an object and of its background, pixel by pixel."""

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy import ndarray
from torch import Tensor

from segscape.structures import MethodError

BACKGROUND, OBJECT, UNKNOWN = 0, 1, 255


def object_marks(
    marks: Shaped[Tensor, "*marked"], shape: tuple[int, ...], method: str
) -> UInt8[ndarray, "*grid"]:
    """Check marks of two kinds.

    Args:
        marks: 0 for background, 1 for object, 255 for what is to be found out.
        shape: of the image, without channels.
        method: its name, for the error.

    Raises:
        MethodError: for marks of another shape or other values.
    """
    if tuple(marks.shape) != tuple(shape):
        raise MethodError(
            f"{method} got marks of {tuple(marks.shape)} for an image of {tuple(shape)}: "
            "give one mark per pixel, drawn on this image"
        )
    known = marks.detach().cpu().numpy()
    others = np.setdiff1d(known, (BACKGROUND, OBJECT, UNKNOWN))
    if others.size:
        raise MethodError(
            f"{method} got marks of value {others[0]}, expected {BACKGROUND} for background, "
            f"{OBJECT} for object and {UNKNOWN} for pixels without a mark"
        )
    return known.astype(np.uint8)
