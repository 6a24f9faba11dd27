"""U-Net's elastic deformation.

Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, arXiv 1505.04597, section 3.1: random displacement
vectors on a coarse 3 x 3 grid, sampled from a Gaussian of 10 pixels standard deviation; the
displacement of each pixel follows by bicubic interpolation.

Differences from the paper: none. It leaves open where the grid lies: here its outer nodes are the
corners of the image; and what lies outside: here image, labels and weights are mirrored there.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from segscape.structures import LabelMap, Sample
from segscape.transforms import options
from segscape.transforms.warp import pixel_centers, warped


@dataclass(frozen=True)
class Elastic:
    """Deform smoothly.

    Args:
        sigma_px: standard deviation of the displacement of a grid node along each axis, in pixels.
        nodes: of the grid along each axis, 2 or more.
        probability: in [0, 1], how often.

    Raises:
        StructureError: for options out of range.
    """

    sigma_px: float = 10.0
    nodes: int = 3
    probability: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma_px", options.number("elastic", "sigma_px", self.sigma_px))
        options.whole_number("elastic", "nodes", self.nodes, 2)
        options.probability("elastic", "probability", self.probability)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Deform image, labels and weights, or none."""
        if generator.random() >= self.probability:
            return sample
        vectors = generator.normal(0.0, self.sigma_px, (2, self.nodes, self.nodes))
        down, across = (_bicubic(length, self.nodes) for length in sample.size)
        displacement = down @ torch.from_numpy(vectors).float() @ across.T
        return warped(
            sample,
            pixel_centers(sample.size.height)[:, None] + displacement[0],
            pixel_centers(sample.size.width)[None, :] + displacement[1],
            void_outside=False,
        )


def _bicubic(length: int, nodes: int) -> Float[Tensor, "length nodes"]:
    """How much each node counts at each pixel along one axis: the interpolation is separable."""
    identity = torch.eye(nodes)[None, None]
    return F.interpolate(identity, size=(length, nodes), mode="bicubic", align_corners=True)[0, 0]
