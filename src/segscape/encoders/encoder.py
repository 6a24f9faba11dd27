"""What every encoder is: images to feature maps, finest first."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from segscape.structures import RecipeError


@runtime_checkable
class Encoder(Protocol):
    """A module that turns pixels into feature maps of falling resolution.

    Encoders are `torch.nn.Module`s too; a model that stores one registers its parameters.
    """

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each feature map, finest first."""
        ...

    @property
    def strides(self) -> tuple[int, ...]:
        """Input pixels per feature pixel of each map, finest first; equal where dilated."""
        ...

    @property
    def size_multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        ...

    def __call__(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """The maps, each of size (height / stride, width / stride)."""
        ...


def no_denser_maps(network: str, output_stride: int, *, why: str = "") -> RecipeError:
    """What to say when a backbone keeps its strides."""
    return RecipeError(
        f"{network} cannot give output_stride {output_stride}{why}: choose a residual network, as "
        "resnet34, or output_stride=32 where the model takes it"
    )
