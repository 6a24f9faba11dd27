"""ETPS superpixels: a grid whose blocks, then pixels, change sides where that lowers an energy.

J. Yao, M. Boben, S. Fidler, R. Urtasun: Real-time coarse-to-fine topologically preserving
segmentation, CVPR 2015. First of 28 methods in D. Stutz, A. Hermans,
B. Leibe: Superpixels: An Evaluation of the State-of-the-Art, CVIU 2018,
doi:10.1016/j.cviu.2017.03.007.

Differences from the paper: the part for stereo pairs is left out; the weights are those of SLIC, so
that `compactness` means the same in both; blocks halve from about half a superpixel's side, where
the paper begins at a fixed number of levels; a superpixel may shrink to a sixteenth of the
average, not a quarter, or those squeezed between two edges stay across one of them. Written from
the paper: the authors' program may not be used commercially. The moves are `ops/block_moves.py`.

SEEDS (M. Van den Bergh et al., ECCV 2012) moves blocks likewise, but compares histograms and bounds
neither shape nor connectivity; OpenCV's SEEDS returns about half the superpixels asked for.

About O(pixels x channels): each border moves a few times at each level.
"""

import torch
from jaxtyping import Shaped
from torch import Tensor

from segscape.classical.pixels import lab_pixels, refuse_beyond_memory
from segscape.ops.block_moves import coarse_to_fine
from segscape.structures import MethodError, Partition


def etps(
    image: Shaped[Tensor, "channel height width"],
    *,
    superpixels: int = 1000,
    compactness: float = 3.0,
    border_weight: float = 30.0,
) -> Partition:
    """Cut an image into connected superpixels of low energy; better than SLIC, somewhat slower.

    Three channels are taken for sRGB and compared in L*a*b*, one for gray and compared in L*;
    other numbers of channels as they are, brought to 0..100.

    Args:
        image: uint8, 16-bit or floating from 0 to 1; any number of channels.
        superpixels: how many; 1 or more. Exactly so many come back, or one for each pixel where
            the image has fewer pixels.
        compactness: how many units of colour one superpixel's side of distance weighs; 0 or more.
        border_weight: what each two neighbours, of eight, on two sides of a border cost, in units
            of squared colour; 0 or more. Larger makes borders straighter.

    Raises:
        MethodError: for options out of range, an image that is empty, not finite or of another
            type, or one too large for the memory.

    >>> image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    >>> image[:, 10:30, 20:40] = 255
    >>> partition = etps(image, superpixels=30)
    >>> inside = partition.regions[10:30, 20:40]
    >>> partition.count, int((partition.regions[..., None] == inside.unique()).any(-1).sum())
    (30, 400)
    """
    if superpixels < 1:
        raise MethodError(f"etps got superpixels={superpixels}, expected 1 or more")
    if not 0 <= compactness < float("inf") or not 0 <= border_weight < float("inf"):
        raise MethodError(
            f"etps got compactness={compactness} and border_weight={border_weight}, "
            "expected 0 or more"
        )
    need = (12.0 * image.shape[0] + 60) * image.shape[-2:].numel()
    refuse_beyond_memory(need, "etps", "shrink the image or cut it into tiles")
    pixels = lab_pixels(image, "etps").numpy()
    size = pixels[0].size
    count = min(superpixels, size)
    nearness = compactness**2 * count / size  # (m / S)^2
    labels = coarse_to_fine(pixels, count, nearness=nearness, border=border_weight)
    return Partition(torch.from_numpy(labels))
