"""Prediction through object proposals: windows scored one by one, put together by their maximum.

H. Noh, S. Hong, B. Han: Learning Deconvolution Network for Semantic Segmentation, ICCV 2015,
arXiv:1505.04366, sec. 3.3. Made for networks that read one size, as DeconvNet does; any semantic
network can be used so, and then sees objects of all sizes at one.

Differences from the paper:

- The paper takes edge boxes, which are another program's; `ops/region_proposals.py` makes boxes of
  regions. Any other finder of boxes can be given.
- An image in which no proposal is large enough is scored as a whole; in the paper nothing would be
  seen of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from segscape.inference.flips import ScoreBatch
from segscape.ops.region_proposals import propose_regions
from segscape.ops.resize import resize_image, resize_maps
from segscape.structures import StructureError


@runtime_checkable
class FindBoxes(Protocol):
    """Boxes where an object may be."""

    def __call__(
        self, image: UInt8[Tensor, "channel height width"], /
    ) -> Float[Tensor, "proposal 4"]:
        """Left, top, right, bottom in pixels, right and bottom exclusive, the best first."""
        ...


@dataclass(frozen=True)
class Proposals:
    """How an image is scored through proposals; the defaults are the paper's.

    Args:
        count: how many are scored at most, the first ones that are large enough; 1 or more.
        shortest_side_px: enlarged boxes with a shorter side are left out; 1 or more.
        enlarged: sides of the boxes are multiplied by this, for context; 1 or more.
        side_px: each window is resized to a square of this side; 1 or more.
        find: finds the boxes. They may leave the image, which is black outside.

    Raises:
        StructureError: for a number out of range.
    """

    count: int = 50
    shortest_side_px: int = 112
    enlarged: float = 1.2
    side_px: int = 224
    find: FindBoxes = propose_regions

    def __post_init__(self) -> None:
        for name in ("count", "shortest_side_px", "enlarged", "side_px"):
            value = getattr(self, name)
            if not 1 <= value < float("inf"):
                raise StructureError(f"proposals: {name} is {value!r}, expected 1 or more")

    @property
    def options(self) -> dict[str, object]:
        """All that the scores depend on besides network and image, as plain values."""
        return {
            "count": self.count,
            "shortest_side_px": self.shortest_side_px,
            "enlarged": self.enlarged,
            "side_px": self.side_px,
            "find": getattr(self.find, "__name__", type(self.find).__name__),
        }


def score_by_proposals(
    score: ScoreBatch,
    image: UInt8[Tensor, "channel height width"],
    proposals: Proposals | None = None,
    *,
    batch_size: int = 10,
) -> Float[Tensor, "category height width"]:
    """Score object proposals and take the highest score at each pixel (eq. 1).

    P(x, y, c) = max over i of G_i(x, y, c), with G_i the scores of proposal i, resized to its box,
    and 0 outside. So no score is below 0; where no proposal is, all are 0, and the first category,
    Pascal VOC's background, is taken.

    Args:
        score: a network's scores before the softmax, of windows of one size.
        image: 0..255.
        proposals: which windows, and how they are seen; None for the paper's numbers.
        batch_size: how many are scored at once.

    Raises:
        StructureError: for boxes without area.
    """
    proposals = proposals or Proposals()
    chosen = _windows(image, proposals)
    height, width = image.shape[1:]
    highest: Tensor | None = None
    for first in range(0, len(chosen), batch_size):
        some = chosen[first : first + batch_size]
        side = proposals.side_px
        scored = score(torch.stack([resize_image(_cut(image, box), (side, side)) for box in some]))
        if highest is None:
            highest = scored.new_zeros(scored.shape[1], height, width)
        for (left, top, right, bottom), one in zip(some, scored, strict=True):
            resized = resize_maps(one[None], (bottom - top, right - left))[0]
            rows, columns = _overlap(top, bottom, height), _overlap(left, right, width)
            seen = highest[:, rows, columns]
            torch.maximum(seen, resized[:, _moved(rows, -top), _moved(columns, -left)], out=seen)
    if highest is None:
        raise StructureError("proposals got an image without pixels: images are at least 1 x 1")
    return highest


def _windows(image: UInt8[Tensor, "channel height width"], proposals: Proposals) -> list[list[int]]:
    """The windows to score in whole pixels, the best first; at least one."""
    boxes = proposals.find(image)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2 * proposals.enlarged
    corners = torch.cat([centers - halves, centers + halves], 1).round().long()
    sides = (corners[:, 2:] - corners[:, :2]).amin(1)
    if len(sides) and int(sides.min()) < 1:
        raise StructureError("proposals: a box has no area: give left < right and top < bottom")
    large: list[list[int]] = corners[sides >= proposals.shortest_side_px].tolist()
    return large[: proposals.count] or [[0, 0, image.shape[2], image.shape[1]]]


def _cut(
    image: UInt8[Tensor, "channel height width"], box: Sequence[int]
) -> UInt8[Tensor, "channel box_height box_width"]:
    """A part of an image that is black beyond its border."""
    left, top, right, bottom = box
    canvas = image.new_zeros(len(image), bottom - top, right - left)
    rows, columns = _overlap(top, bottom, image.shape[1]), _overlap(left, right, image.shape[2])
    canvas[:, _moved(rows, -top), _moved(columns, -left)] = image[:, rows, columns]
    return canvas


def _overlap(start: int, stop: int, length: int) -> slice:
    """The places of start..stop-1 that lie in 0..length-1; none where they miss it."""
    low = min(max(start, 0), length)
    return slice(low, max(min(stop, length), low))


def _moved(places: slice, by: int) -> slice:
    return slice(places.start + by, places.stop + by)
