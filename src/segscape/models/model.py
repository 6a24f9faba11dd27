"""The only base class: what every network is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segscape.structures import ImageBatch, StructureError, Taxonomy

Outputs = TypeVar("Outputs")
Target = TypeVar("Target")
Result = TypeVar("Result")

# ImageNet's statistics: what public encoders were trained with, and a fair default for photographs.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# ITU-R 601: how much red, green and blue add to brightness.
LUMINANCE = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Architecture:
    """How a model was built: what a file of its weights must remember.

    Args:
        name: of `MODELS`.
        options: what `build_model` got, without the taxonomy.
    """

    name: str
    options: Mapping[str, object]


class Model(nn.Module, ABC, Generic[Outputs, Target, Result]):
    """A network with its taxonomy and its normalisation; any height, width and batch size work.

    Args:
        taxonomy: what the outputs mean.
        in_channels: channels the network reads. A one-channel network takes colour images by their
            brightness.
        mean: per channel, of images in [0, 1]; None for ImageNet's (their mean for other counts
            of channels than three).
        std: likewise.

    Attributes:
        architecture: how the model was built, None when its class was called directly.
        strides: input pixels per pixel of the maps that meet in the network, finest first.

    Raises:
        StructureError: when mean or std do not have one value per channel.
    """

    mean: Tensor
    std: Tensor
    architecture: Architecture | None = None
    strides: tuple[int, ...] = ()

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        in_channels: int = 3,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.taxonomy = taxonomy
        self.in_channels = in_channels
        self.register_buffer("mean", self._per_channel("mean", mean, IMAGENET_MEAN))
        self.register_buffer("std", self._per_channel("std", std, IMAGENET_STD))

    def _per_channel(
        self, name: str, given: Sequence[float] | None, imagenet: tuple[float, ...]
    ) -> Tensor:
        if given is None:
            three = self.in_channels == len(imagenet)
            given = imagenet if three else [sum(imagenet) / len(imagenet)] * self.in_channels
        if len(given) != self.in_channels:
            raise StructureError(
                f"{name} has {len(given)} values for {self.in_channels} channels: give one each"
            )
        if not all(isfinite(value) and (name == "mean" or value > 0) for value in given):
            wanted = "finite numbers" + " above 0" * (name == "std")
            raise StructureError(f"{name} is {list(given)}: give {wanted}")
        return torch.tensor(given).reshape(-1, 1, 1)

    def normalize(
        self, pixels: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Match the channels, subtract the mean and divide by the standard deviation.

        Raises:
            StructureError: when the channels cannot be matched.
        """
        channels = pixels.shape[1]
        if channels == 3 and self.in_channels == 1:
            weights = pixels.new_tensor(LUMINANCE).reshape(1, 3, 1, 1)
            pixels = (pixels * weights).sum(1, keepdim=True)
        elif channels == 1 and self.in_channels == 3:
            pixels = pixels.expand(-1, 3, -1, -1)
        elif channels != self.in_channels:
            raise StructureError(
                f"the images have {channels} channels, the network reads {self.in_channels}: "
                f"build the model with in_channels={channels} or convert the images"
            )
        return (pixels - self.mean) / self.std

    @abstractmethod
    def forward(self, images: ImageBatch) -> Outputs:
        """Compute the raw outputs; the same type in training and in evaluation."""

    @abstractmethod
    def losses(self, outputs: Outputs, target: Target) -> dict[str, Float[Tensor, ""]]:
        """The named terms whose sum is minimised."""

    @abstractmethod
    def decode(self, outputs: Outputs, images: ImageBatch) -> list[Result]:
        """One result per image, of the image's true size."""

    def __call__(self, images: ImageBatch) -> Outputs:
        """Run `forward` with its type kept."""
        output: Any = super().__call__(images)
        return output
