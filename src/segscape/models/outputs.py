"""What networks return and what they learn from: frozen dataclasses of raw tensors."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from segscape.structures import LabelMap


@dataclass(frozen=True)
class SemanticOutputs:
    """Raw outputs of a semantic network, the same in training and in evaluation.

    Args:
        logits: one map per category, of the batch's padded size.
        auxiliary: logits of auxiliary heads, of the same shape; empty for most networks, and in
            evaluation, where these heads are not run.
    """

    logits: Float[Tensor, "batch category height width"]
    auxiliary: tuple[Float[Tensor, "batch category height width"], ...] = ()


@dataclass(frozen=True)
class SemanticTarget:
    """Label maps of several sizes in one tensor, padded right and bottom with the ignored id.

    Args:
        labels: category ids or `ignore_id`.
        ignore_id: pixels of this id change neither the loss nor its gradient.
        pixel_weights: how much each pixel counts, None for 1 everywhere.
    """

    labels: Int64[Tensor, "batch height width"]
    ignore_id: int
    pixel_weights: Float[Tensor, "batch height width"] | None = None

    @classmethod
    def stack(
        cls,
        targets: Sequence[LabelMap],
        pixel_weights: Sequence[Float[Tensor, "_ _"] | None] | None = None,
    ) -> "SemanticTarget":
        """Pad label maps, and weights where any map has them, to the largest height and width."""
        height = max(target.size.height for target in targets)
        width = max(target.size.width for target in targets)
        ignore_id = targets[0].taxonomy.ignore_id
        labels = torch.full((len(targets), height, width), ignore_id, dtype=torch.int64)
        for slot, target in zip(labels, targets, strict=True):
            slot[: target.size.height, : target.size.width] = target.labels
        if pixel_weights is None or all(weights is None for weights in pixel_weights):
            return cls(labels, ignore_id)
        stacked = torch.ones(len(targets), height, width)
        for slot, weights in zip(stacked, pixel_weights, strict=True):
            if weights is not None:
                slot[: weights.shape[0], : weights.shape[1]] = weights
        return cls(labels, ignore_id, stacked)

    def to(self, device: torch.device | str) -> "SemanticTarget":
        """The same targets on another device."""
        weights = self.pixel_weights
        return SemanticTarget(
            self.labels.to(device, non_blocking=True),
            self.ignore_id,
            None if weights is None else weights.to(device, non_blocking=True),
        )
