"""Cross entropy over categories."""

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


def cross_entropy(
    logits: Float[Tensor, "batch category height width"],
    labels: Int64[Tensor, "batch height width"],
    *,
    ignore_id: int = 255,
    pixel_weights: Float[Tensor, "batch height width"] | None = None,
) -> Float[Tensor, ""]:
    """Average -log p(label) over the pixels that count."""
    loss = F.cross_entropy(logits, labels, ignore_index=ignore_id, reduction="none")
    if pixel_weights is not None:
        loss = loss * pixel_weights
    return loss.sum() / (labels != ignore_id).sum().clamp(min=1)
