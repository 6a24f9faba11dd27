"""Boxes where an object may be: of regions of like colour, and of what they grow into.

Regions: P. F. Felzenszwalb, D. P. Huttenlocher: Efficient Graph-Based Image Segmentation, IJCV
2004, doi:10.1023/B:VISI.0000022288.19776.77. Growing them together by turns, at several scales,
after J. R. R. Uijlings et al.: Selective Search for Object Recognition, IJCV 2013,
doi:10.1007/s11263-013-0620-5.

Differences from the papers: the pair joined next is the one of least mean colour difference along
its common border, where Uijlings et al. compare histograms of colour and texture and sizes; and
boxes are ordered by the contrast of a region's outline, where they are ordered by chance.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64, UInt8
from torch import Tensor

SCALES = (100.0, 200.0, 400.0)
# Regions are found in an image shrunk to this longer side, which is about Pascal VOC's.
_LONGER_SIDE_PX = 500
_SMOOTHING_PX = 0.8
# The smallest region, as a share of the image: at most some hundreds of regions.
_SMALLEST_SHARE = 0.002


def propose_regions(
    image: UInt8[Tensor, "channel height width"],
    *,
    scales: Sequence[float] = SCALES,
    most: int = 2000,
) -> Float[Tensor, "proposal 4"]:
    """Find boxes that may hold an object, those of the strongest outline first.

    At each scale the image falls into regions; then the two neighbours that differ least along
    their common border are joined, again and again, until one is left. Every region on the way
    gives its box, with the mean colour difference across its outline as its score. Where the
    outline is the image's border, the difference is 0. Of equal boxes the best is kept.

    Args:
        image: 0..255.
        scales: of Felzenszwalb's method: larger ones prefer larger regions; above 0.
        most: boxes returned at most, 1 or more.

    Returns:
        Left, top, right, bottom in pixels, right and bottom exclusive; at least one box.

    Raises:
        ValueError: when there is no scale, or one that is not above 0.

    >>> image = torch.zeros(3, 60, 80, dtype=torch.uint8)
    >>> image[:, 10:40, 20:70] = 255
    >>> propose_regions(image)[0].tolist()
    [20.0, 10.0, 70.0, 40.0]
    """
    if not scales or min(scales) <= 0:
        raise ValueError(f"region proposals: scales are {list(scales)}, expected numbers above 0")
    height, width = image.shape[1:]
    step = max(1, -(-max(height, width) // _LONGER_SIDE_PX))
    colors = _shrink(image, step)
    found = [_grow(colors, _regions(colors, scale)) for scale in scales]
    boxes = np.concatenate([boxes for boxes, _ in found])
    scores = np.concatenate([scores for _, scores in found])
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(boxes[order], axis=0, return_index=True)
    kept = boxes[order][np.sort(first)[:most]] * step
    return torch.from_numpy(np.minimum(kept, [width, height, width, height])).float()


def _shrink(
    image: UInt8[Tensor, "channel height width"], step: int
) -> Float[np.ndarray, "rows columns channel"]:
    """Means over squares of `step` pixels, those at the border cut off; 0..1."""
    colors = image.float()[None] / 255
    small = torch.nn.functional.avg_pool2d(colors, step, ceil_mode=True)[0]
    return small.permute(1, 2, 0).double().cpu().numpy()


def _regions(
    colors: Float[np.ndarray, "rows columns channel"], scale: float
) -> Int32[np.ndarray, "rows columns"]:
    smallest = max(int(_SMALLEST_SHARE * colors[..., 0].size), 1)
    channels = np.ascontiguousarray(255 * colors.transpose(2, 0, 1), dtype=np.float32)
    # Here, because naming the transforms should not wait for numba.
    from segscape.ops.gaussian import gaussian_smoothed
    from segscape.ops.graph_regions import graph_regions

    return graph_regions(gaussian_smoothed(channels, _SMOOTHING_PX), scale, smallest)


def _grow(
    colors: Float[np.ndarray, "rows columns channel"], regions: Int32[np.ndarray, "rows columns"]
) -> tuple[Int64[np.ndarray, "proposal 4"], Float[np.ndarray, "proposal"]]:
    """Boxes and scores of the regions and of what they are joined to."""
    count = int(regions.max()) + 1
    contrast, length = _borders(colors, regions, count)
    rim = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    on_rim = np.bincount(rim, minlength=count)
    boxes = _boxes(regions, count)
    all_boxes = [boxes.copy()]
    all_scores = [contrast.sum(1) / np.maximum(length.sum(1) + on_rim, 1)]
    for _ in range(count - 1):
        mean = np.where(length > 0, contrast / np.maximum(length, 1), np.inf)
        one, other = np.unravel_index(int(mean.argmin()), mean.shape)
        for table in (contrast, length):
            table[one] += table[other]
            table[:, one] += table[:, other]
            table[other] = table[:, other] = 0
            table[one, one] = 0
        on_rim[one] += on_rim[other]
        boxes[one, :2] = np.minimum(boxes[one, :2], boxes[other, :2])
        boxes[one, 2:] = np.maximum(boxes[one, 2:], boxes[other, 2:])
        all_boxes.append(boxes[one : one + 1].copy())
        all_scores.append(contrast[one : one + 1].sum(1) / (length[one].sum() + on_rim[one]))
    return np.concatenate(all_boxes), np.concatenate(all_scores)


def _borders(
    colors: Float[np.ndarray, "rows columns channel"],
    regions: Int32[np.ndarray, "rows columns"],
    count: int,
) -> tuple[Float[np.ndarray, "region region"], Float[np.ndarray, "region region"]]:
    """Between each two regions: the sum of colour differences of touching pixels, their number."""
    contrast, length = np.zeros((count, count)), np.zeros((count, count))
    for axis in (0, 1):
        here, there = (np.moveaxis(regions, axis, 0)[part] for part in (slice(-1), slice(1, None)))
        gap = np.moveaxis(np.linalg.norm(np.diff(colors, axis=axis), axis=2), axis, 0)
        apart = here != there
        pairs = here[apart].astype(np.int64) * count + there[apart]
        contrast += np.bincount(pairs, gap[apart], count * count).reshape(count, count)
        length += np.bincount(pairs, minlength=count * count).reshape(count, count)
    return contrast + contrast.T, length + length.T


def _boxes(regions: Int32[np.ndarray, "rows columns"], count: int) -> Int64[np.ndarray, "region 4"]:
    rows, columns = np.indices(regions.shape)
    boxes = np.empty((count, 4), dtype=np.int64)
    for place, values in ((0, columns), (1, rows)):
        boxes[:, place] = np.iinfo(np.int64).max
        np.minimum.at(boxes[:, place], regions, values)
        boxes[:, place + 2] = 0
        np.maximum.at(boxes[:, place + 2], regions, values + 1)
    return boxes
