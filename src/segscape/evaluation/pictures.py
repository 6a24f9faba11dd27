"""Pictures inside a page: small files as text."""

import base64
import io
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

JPEG_QUALITY = 82
PALETTE_COLORS = 128


def data_uri(
    picture: UInt8[Tensor, "3 height width"], kind: Literal["photograph", "drawing"]
) -> str:
    """Encode a picture for an `img` element that needs no other file.

    Args:
        picture: 0..255.
        kind: photographs become JPEG, drawings of few flat colours become palette PNG, which is
            smaller for them and keeps their edges sharp.
    """
    image = Image.fromarray(np.ascontiguousarray(picture.permute(1, 2, 0).cpu().numpy()))
    buffer = io.BytesIO()
    if kind == "photograph":
        image.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
        return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    few = image.quantize(PALETTE_COLORS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
