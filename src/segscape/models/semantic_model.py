"""What every semantic network shares: padding, losses and decoding."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from segscape.losses.cross_entropy import cross_entropy
from segscape.models.model import Model
from segscape.models.outputs import SemanticOutputs, SemanticTarget
from segscape.ops.processes import process_count
from segscape.structures import ImageBatch, LabelMap, Size, Taxonomy


@runtime_checkable
class SemanticLoss(Protocol):
    """A function of raw outputs and truth, its options bound."""

    def __call__(
        self,
        logits: Float[Tensor, "batch category height width"],
        labels: Int64[Tensor, "batch height width"],
        *,
        ignore_id: int,
        pixel_weights: Float[Tensor, "batch height width"] | None,
    ) -> Float[Tensor, ""]:
        """The loss of a batch."""
        ...


@dataclass(frozen=True)
class WeightedLoss:
    """One term of the sum that is minimised."""

    name: str
    function: SemanticLoss
    weight: float = 1.0


class SemanticModel(Model[SemanticOutputs, SemanticTarget, LabelMap]):
    """A network that gives each pixel a category.

    A semantic network writes one method, `score`; this class pads images to a multiple of
    `pad_to`, crops the logits back, adds up the losses and decodes.

    Attributes:
        criteria: the terms of the loss, plain cross entropy unless a recipe sets others.
        auxiliary_weight: weight of each auxiliary head's loss.
        pad_to: images are padded right and bottom to a multiple of this by repeating their border.
        coarsest_stride: image pixels per pixel of the coarsest map, of networks that read any size
            without padding and normalise over the batch.
    """

    criteria: Sequence[WeightedLoss] = (WeightedLoss("cross_entropy", cross_entropy),)
    auxiliary_weight: float = 0.4
    pad_to: int = 1
    coarsest_stride: int = 1

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        in_channels: int = 3,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(taxonomy, in_channels=in_channels, mean=mean, std=std)

    @abstractmethod
    def score(self, pixels: Float[Tensor, "batch channel height width"]) -> SemanticOutputs:
        """Compute logits for normalised pixels whose sides are multiples of `pad_to`."""

    def forward(self, images: ImageBatch) -> SemanticOutputs:
        """Compute logits of the batch's size."""
        height, width = images.pixels.shape[2:]
        padded = Size(height + -height % self.pad_to, width + -width % self.pad_to)
        alone = self.training and len(images.sizes) * process_count() == 1
        pixel = max(self.pad_to, self.coarsest_stride)
        if alone and max(padded) <= pixel:
            # One image that small is a single pixel on the coarsest map, of which batch
            # normalisation, over all processes, cannot take a variance.
            padded = Size(padded.height, padded.width + pixel)
        outputs = self.score(repeat_border(self.normalize(images.pixels), images.sizes, padded))
        if padded == (height, width):
            return outputs
        return SemanticOutputs(
            outputs.logits[:, :, :height, :width],
            tuple(logits[:, :, :height, :width] for logits in outputs.auxiliary),
        )

    def losses(
        self, outputs: SemanticOutputs, target: SemanticTarget
    ) -> dict[str, Float[Tensor, ""]]:
        """The weighted terms; those of auxiliary heads are named `auxiliary_...`."""
        terms: dict[str, Tensor] = {}
        heads = self._heads(outputs)
        for loss in self.criteria:
            for prefix, factor, logits in heads:
                value = loss.function(
                    logits,
                    target.labels,
                    ignore_id=target.ignore_id,
                    pixel_weights=target.pixel_weights,
                )
                name = prefix + loss.name
                term = value * (loss.weight * factor)
                terms[name] = terms[name] + term if name in terms else term
        return terms

    def _heads(self, outputs: SemanticOutputs) -> list[tuple[str, float, Tensor]]:
        # Once for all losses: float32, and the memory order in which sums over categories are fast.
        heads = [("", 1.0, outputs.logits.float().contiguous())]
        heads += [
            ("auxiliary_", self.auxiliary_weight, logits.float().contiguous())
            for logits in outputs.auxiliary
        ]
        return heads

    def decode(self, outputs: SemanticOutputs, images: ImageBatch) -> list[LabelMap]:
        """The highest category of each pixel, cropped to each image's true size."""
        return [
            LabelMap.from_scores(logits[:, : size.height, : size.width].float(), self.taxonomy)
            for logits, size in zip(outputs.logits, images.sizes, strict=True)
        ]


def repeat_border(
    pixels: Float[Tensor, "batch channel height width"], sizes: Sequence[Size], padded: Size
) -> Float[Tensor, "batch channel padded_height padded_width"]:
    """Continue each image right and bottom with its last column and row.

    What the batch holds beyond an image's true size is overwritten, so that an image's result hangs
    little on the others in its batch.

    Args:
        pixels: images from the top left corner on.
        sizes: the true size of each.
        padded: the size wanted, at least that of `pixels`.
    """
    height, width = pixels.shape[2:]
    if all(size == (height, width) for size in sizes):
        if padded == (height, width):
            return pixels
        return F.pad(pixels, (0, padded.width - width, 0, padded.height - height), mode="replicate")
    rows = torch.arange(padded.height, device=pixels.device)
    columns = torch.arange(padded.width, device=pixels.device)
    return torch.stack(
        [
            image[:, rows.clamp(max=size.height - 1)][:, :, columns.clamp(max=size.width - 1)]
            for image, size in zip(pixels, sizes, strict=True)
        ]
    )
