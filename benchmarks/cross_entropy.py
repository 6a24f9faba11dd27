"""Weighted cross entropy with ignored pixels, forward and backward, against torch's own."""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import Comparison, compare
from segscape.losses.cross_entropy import cross_entropy

BATCH, CLASSES, HEIGHT, WIDTH, IGNORE = 8, 11, 240, 320, 255


def run() -> list[Comparison]:
    """Compare at CamVid's size in both memory formats; values and gradients must agree."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(CLASSES, generator=generator) + 0.5
    labels = torch.randint(CLASSES, (BATCH, HEIGHT // 8, WIDTH // 8), generator=generator)
    labels = labels.repeat_interleave(8, 1).repeat_interleave(8, 2)
    labels[torch.rand(labels.shape, generator=generator) < 0.05] = IGNORE
    start = torch.randn(BATCH, CLASSES, HEIGHT, WIDTH, generator=generator)
    results: list[Comparison] = []
    for layout in (torch.contiguous_format, torch.channels_last):
        logits = start.contiguous(memory_format=layout).requires_grad_()

        def ours(logits: Tensor = logits) -> tuple[Tensor, Tensor]:
            loss = cross_entropy(logits, labels, ignore_id=IGNORE, class_weights=weights)
            return loss.detach(), torch.autograd.grad(loss, logits)[0]

        def peer(logits: Tensor = logits) -> tuple[Tensor, Tensor]:
            loss = F.cross_entropy(logits, labels, weight=weights, ignore_index=IGNORE)
            return loss.detach(), torch.autograd.grad(loss, logits)[0]

        name = "channels-last" if layout == torch.channels_last else "contiguous"
        results.append(
            compare(ours, peer, name=f"cross entropy and gradient, {name}", rounds=21, check=_close)
        )
    return results


def _close(ours: tuple[Tensor, Tensor], peer: tuple[Tensor, Tensor]) -> bool:
    return all(torch.allclose(a, b, rtol=1e-5, atol=1e-9) for a, b in zip(ours, peer, strict=True))
