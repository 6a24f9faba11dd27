"""What travels from the loader's workers to the training step: bytes, not floats."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from segscape.models.outputs import SemanticTarget
from segscape.structures import ImageBatch, LabelMap, Sample, Size


class TrainingBatch:
    """Images and labels of one process's share of a batch, padded right and bottom.

    A plain class, for Fabric casts every tensor it finds in a tuple, dict or dataclass to the
    training precision, and a border weight of 10.03 is not a bfloat16.

    Args:
        pixels: 0..255, padding 0.
        sizes: the true size of each image.
        labels: category ids, padding `ignore_id`.
        ignore_id: pixels of this id do not count.
        keys: the samples' names.
        pixel_weights: how much each pixel counts, None for 1 everywhere.
    """

    def __init__(
        self,
        pixels: UInt8[Tensor, "batch channel height width"],
        sizes: tuple[Size, ...],
        labels: Integer[Tensor, "batch height width"],
        ignore_id: int,
        keys: tuple[str, ...],
        pixel_weights: Float[Tensor, "batch height width"] | None = None,
    ) -> None:
        self.pixels = pixels
        self.sizes = sizes
        self.labels = labels
        self.ignore_id = ignore_id
        self.keys = keys
        self.pixel_weights = pixel_weights

    @classmethod
    def stack(cls, samples: Sequence[Sample[LabelMap]]) -> "TrainingBatch":
        """Pad samples to the largest height and width among them."""
        sizes = tuple(sample.size for sample in samples)
        height = max(size.height for size in sizes)
        width = max(size.width for size in sizes)
        first = samples[0]
        ignore_id = first.target.taxonomy.ignore_id
        shape = (len(samples), height, width)
        pixels = torch.zeros(len(samples), len(first.image), height, width, dtype=torch.uint8)
        labels = torch.full(shape, ignore_id, dtype=first.target.labels.dtype)
        weighted = any(sample.pixel_weights is not None for sample in samples)
        weights = torch.ones(shape) if weighted else None
        for place, (sample, size) in enumerate(zip(samples, sizes, strict=True)):
            pixels[place, :, : size.height, : size.width] = sample.image
            labels[place, : size.height, : size.width] = sample.target.labels
            if weights is not None and sample.pixel_weights is not None:
                weights[place, : size.height, : size.width] = sample.pixel_weights
        keys = tuple(sample.key for sample in samples)
        return cls(pixels, sizes, labels, ignore_id, keys, weights)

    def padded(self, height: int, width: int) -> "TrainingBatch":
        """The same batch with more padding."""
        bottom, right = height - self.pixels.shape[2], width - self.pixels.shape[3]
        if not (bottom or right):
            return self
        edges, weights = (0, right, 0, bottom), self.pixel_weights
        pad = torch.nn.functional.pad
        return TrainingBatch(
            pad(self.pixels, edges),
            self.sizes,
            pad(self.labels, edges, value=self.ignore_id),
            self.ignore_id,
            self.keys,
            None if weights is None else pad(weights, edges, value=1.0),
        )

    def to(self, device: torch.device) -> "TrainingBatch":
        """The same batch on another device."""
        weights = self.pixel_weights
        return TrainingBatch(
            self.pixels.to(device, non_blocking=True),
            self.sizes,
            self.labels.to(device, non_blocking=True),
            self.ignore_id,
            self.keys,
            None if weights is None else weights.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "TrainingBatch":
        """The same batch where a GPU can fetch it; called by torch's loader."""
        weights = self.pixel_weights
        return TrainingBatch(
            self.pixels.pin_memory(),
            self.sizes,
            self.labels.pin_memory(),
            self.ignore_id,
            self.keys,
            None if weights is None else weights.pin_memory(),
        )

    def images(self, *, channels_last: bool) -> ImageBatch:
        """The images as networks read them."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        pixels = self.pixels.contiguous(memory_format=layout)
        return ImageBatch(pixels.float().div_(255), self.sizes)

    def target(self) -> SemanticTarget:
        """The truth as losses read it."""
        return SemanticTarget(self.labels.long(), self.ignore_id, self.pixel_weights)
