"""Regions by comparing what parts two of them with what varies within each.

P. F. Felzenszwalb, D. P. Huttenlocher: Efficient Graph-Based Image Segmentation, IJCV 2004,
doi:10.1023/B:VISI.0000022288.19776.77.

Differences from the paper: none on the grid graph; channels are taken together, as in section 5's
later remark and in the authors' program, where the text runs them one by one and intersects. The
algorithm is `ops/graph_regions.py`.

scikit-image does the same in float64, with a comparison sort of the edges; its `scale` has the same
unit. OpenCV's ximgproc orders edges of equal weight by chance.

O(pixels): the sort goes by digits.
"""

import torch
from jaxtyping import Shaped
from torch import Tensor

from segscape.classical.pixels import refuse_beyond_memory, unit_pixels
from segscape.ops.gaussian import gaussian_smoothed
from segscape.ops.graph_regions import graph_regions
from segscape.structures import MethodError, Partition


def felzenszwalb(
    image: Shaped[Tensor, "channel height width"],
    *,
    scale: float = 300.0,
    smoothing_px: float = 0.8,
    smallest_px: int = 50,
) -> Partition:
    """Join pixels to regions whose borders are stronger than the differences inside them.

    Args:
        image: uint8, 16-bit or floating from 0 to 1; any number of channels.
        scale: k of the paper, for colours from 0 to 255 whatever the image's type: larger ones
            prefer larger regions; above 0. The paper takes 150 for 128 x 128 pixels and 300 for
            320 x 240 and more.
        smoothing_px: standard deviation of the Gaussian that the image is smoothed by first, in
            pixels; 0 or more.
        smallest_px: regions of fewer pixels are joined to the neighbour of the weakest border; 1
            or more.

    Raises:
        MethodError: for options out of range, an image that is empty, not finite or of another
            type, or one too large for the memory.

    >>> image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    >>> image[:, 10:30, 20:40] = 255
    >>> felzenszwalb(image, smoothing_px=0.0).count
    2
    """
    if not 0 < scale < float("inf") or not 0 <= smoothing_px < float("inf") or smallest_px < 1:
        raise MethodError(
            f"felzenszwalb got scale={scale}, smoothing_px={smoothing_px} and "
            f"smallest_px={smallest_px}, expected above 0, 0 or more and 1 or more"
        )
    need = (8.0 * image.shape[0] + 90) * image.shape[-2:].numel()
    refuse_beyond_memory(need, "felzenszwalb", "shrink the image or cut it into tiles")
    pixels = unit_pixels(image, "felzenszwalb").numpy()
    smoothed = gaussian_smoothed(pixels * 255, smoothing_px)
    return Partition(torch.from_numpy(graph_regions(smoothed, scale, smallest_px)))
