"""Any backbone of timm as an encoder.

Reference: R. Wightman, PyTorch Image Models, 2019, doi:10.5281/zenodo.4414861.
"""

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.dilation import dilate
from segscape.encoders.mix_transformer import SIZES as MIX_TRANSFORMERS
from segscape.encoders.weight_files import load_by_name, read_weights
from segscape.layers.atrous_conv import correct_depthwise
from segscape.structures import CheckpointError, RecipeError

OUTPUT_STRIDES = (8, 16, 32)
# What lets a transformer that was trained at one size read others; timm spells it per family.
_ANY_SIZE: tuple[dict[str, Any], ...] = (
    {},
    {"strict_img_size": False},
    {"dynamic_img_size": True},
)
# Sides tried in turn: multiples of the stride, then of the windows common in transformers.
_SIDES = (1, 2, 7, 8, 12)


class TimmEncoder(nn.Module):
    """A timm model that returns its feature maps, finest first, channel first.

    Args:
        name: as timm writes it, with or without the tag of its weights (`resnet34.a1_in1k`).
        in_channels: channels of the input, 1 or more.
        output_stride: 8, 16 or 32; less than 32 keeps the resolution of the last stages and
            dilates them instead: timm's way where it has one, else that of `dilation.py`.
        weights: None starts from random weights, a path loads that file (timm's or torchvision's
            names), "download" lets timm fetch its own.
        depth: how many maps to return, finest first; None returns all.

    Raises:
        RecipeError: for a name timm does not have, a backbone that cannot give this output stride
            (transformers), or that reads only square images of one size, or a depth it does not
            reach.
        CheckpointError: when the weights do not fit or cannot be fetched.
    """

    def __init__(
        self,
        name: str,
        *,
        in_channels: int = 3,
        output_stride: int = 32,
        weights: Path | Literal["download"] | None = None,
        depth: int | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self._refuse_unknown(name, output_stride)
        self.backbone, self._reads = _build(
            name, in_channels, output_stride, depth, download=weights == "download"
        )
        correct_depthwise(self.backbone)
        info: Any = self.backbone.feature_info
        self._channels = tuple(info.channels())
        self._strides = tuple(min(stride, output_stride) for stride in info.reduction())
        if isinstance(weights, Path):
            self._load(weights)

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each feature map, finest first."""
        return self._channels

    @property
    def strides(self) -> tuple[int, ...]:
        """Input pixels per feature pixel of each map, finest first."""
        return self._strides

    @property
    def size_multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        return self._reads.multiple

    def forward(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """The maps, each of size (height / stride, width / stride)."""
        height, width = pixels.shape[2:]
        maps: list[Tensor] = []
        features = self.backbone(pixels)
        if self._reads.is_exact:  # an exported program is for any size: nothing may ask for it
            return list(features)
        for feature, channels, stride in zip(features, self.channels, self.strides, strict=True):
            size = (height // stride, width // stride)
            aligned = _channel_first(feature, channels, size)
            if aligned.shape[2:] != size:
                # Backbones with unpadded convolutions (Inception) lose their border.
                aligned = F.interpolate(aligned, size, mode="bilinear", align_corners=False)
            maps.append(aligned)
        return maps

    @staticmethod
    def _refuse_unknown(name: str, output_stride: int) -> None:
        import timm

        plain = name.split(".")[0]
        if not timm.is_model(plain):
            known = [*timm.list_models(), *MIX_TRANSFORMERS]
            begun = [one for one in known if plain and one.startswith(plain)]
            near = begun[:3] or get_close_matches(plain, known, n=3)
            raise RecipeError(
                f"no encoder is named '{name}'"
                + (f": did you mean {' or '.join(near)}?" if near else ": see timm.list_models()")
            )
        if output_stride not in OUTPUT_STRIDES:
            raise RecipeError(
                f"encoder '{name}': output_stride {output_stride} is not one of {OUTPUT_STRIDES}"
            )

    def _load(self, path: Path) -> None:
        tensors = _timm_names(self.name, read_weights(path))
        wanted = self.backbone.state_dict()
        # The wrappers of timm rename: model.x for x, or layer_0.x for layer.0.x.
        renamed = dict(tensors)
        for key, tensor in tensors.items():
            for spelling in (key, f"model.{key}", key.replace(".", "_", 1)):
                if spelling in wanted:
                    renamed[spelling] = tensor
        network = self.name.split(".")[0]
        load_by_name(self.backbone, renamed, source=f"weights file {path}", network=network)


@dataclass(frozen=True)
class _Reads:
    """What a backbone reads and gives.

    Args:
        multiple: height and width of images must be multiples of this.
        is_exact: whether its maps come channel first and of sides height / stride.
    """

    multiple: int
    is_exact: bool


def _build(
    name: str, in_channels: int, output_stride: int, depth: int | None, *, download: bool
) -> tuple[nn.Module, _Reads]:
    """Build the backbone with the options it needs, and find out which sizes it reads."""
    import timm

    reason = ""
    # Layers beyond the deepest map that is wanted are not even built.
    indices = None if depth is None else _finest(name, depth)
    for options in _ANY_SIZE:
        stride_option: dict[str, Any] = (
            {} if output_stride == 32 else {"output_stride": output_stride}
        )
        try:
            backbone: Any = timm.create_model(
                name,
                features_only=True,
                pretrained=download,
                in_chans=in_channels,
                **({} if indices is None else {"out_indices": indices}),
                **stride_option,
                **options,
            )
        except (TypeError, AssertionError, NotImplementedError) as error:
            reason = str(error)
            if stride_option and not options:
                return _build_dilated(name, in_channels, output_stride, depth, download=download)
            continue
        except (OSError, RuntimeError, ValueError) as error:
            if download:
                raise CheckpointError(
                    f"the weights of encoder '{name}' could not be downloaded "
                    f"({_first_line(error)}): give a local file as weights=PATH"
                ) from error
            raise RecipeError(f"encoder '{name}' cannot be built: {_first_line(error)}") from error
        reads = _tried(backbone, in_channels, output_stride)
        if reads is not None:
            return backbone, reads
    raise RecipeError(
        f"encoder '{name}' does not return maps for images of any size"
        + (f" ({reason})" if reason else "")
        + ": use a convolutional backbone, as resnet34 or convnext_tiny"
    )


def _build_dilated(
    name: str, in_channels: int, output_stride: int, depth: int | None, *, download: bool
) -> tuple[nn.Module, _Reads]:
    """Dilate a backbone for which timm has no `output_stride`."""
    backbone, _ = _build(name, in_channels, 32, depth, download=download)
    try:
        dilate(backbone, output_stride=output_stride, in_channels=in_channels)
    except RecipeError as error:
        raise RecipeError(f"encoder '{name}': {error}") from error
    reads = _tried(backbone, in_channels, output_stride)
    return backbone, reads or _Reads(output_stride, is_exact=False)


def _finest(name: str, depth: int) -> tuple[int, ...]:
    """Find timm's numbers of the finest maps; nothing is allocated to find them."""
    import timm

    with torch.device("meta"):
        info: Any = timm.create_model(name, features_only=True, pretrained=False).feature_info
    available = tuple(info.out_indices)
    if not 1 <= depth <= len(available):
        raise RecipeError(
            f"encoder '{name}' has {len(available)} feature maps, depth {depth} was asked for: "
            f"choose 1 to {len(available)}"
        )
    return available[:depth]


def _tried(backbone: Any, in_channels: int, output_stride: int) -> _Reads | None:  # noqa: ANN401 - timm's
    """The smallest multiple of the coarsest stride that the backbone reads, by trying.

    Two sizes that are not square are tried, so that a backbone fixed to one size is found out.
    """
    channels = backbone.feature_info.channels()
    strides = [min(stride, output_stride) for stride in backbone.feature_info.reduction()]
    stride = max(strides)
    was_training = backbone.training
    backbone.eval()
    found = None
    for factor in _SIDES:
        side = stride * factor
        is_exact = True
        try:
            with torch.no_grad():
                for height, width in ((side, 2 * side), (2 * side, side)):
                    features = backbone(torch.zeros(1, in_channels, height, width))
                    for feature, count, step in zip(features, channels, strides, strict=True):
                        size = (height // step, width // step)
                        _channel_first(feature, count, size)
                        is_exact &= tuple(feature.shape[1:]) == (count, *size)
        except (AssertionError, RuntimeError, ValueError):
            continue
        found = _Reads(side, is_exact)
        break
    backbone.train(was_training)
    return found


def _channel_first(feature: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """Turn a channel-last map, as Swin's, so that channels come second."""
    if feature.ndim != 4:
        raise ValueError(f"a feature map has {feature.ndim} axes")
    if feature.shape[1] == channels and (
        feature.shape[3] != channels or tuple(feature.shape[2:]) == size
    ):
        return feature
    if feature.shape[3] == channels:
        return feature.permute(0, 3, 1, 2)
    raise ValueError(f"a feature map of shape {tuple(feature.shape)} has no axis of {channels}")


def _timm_names(name: str, tensors: dict[str, Tensor]) -> Mapping[str, Tensor]:
    """Rename the tensors of the original authors' files as timm does, where it has a rule."""
    import timm

    whole: Any = timm.create_model(name, pretrained=False)
    if set(whole.state_dict()) <= set(tensors):
        return tensors
    rename = getattr(sys.modules[type(whole).__module__], "checkpoint_filter_fn", None)
    if rename is None:
        return tensors
    arguments = (tensors, whole) if len(inspect.signature(rename).parameters) > 1 else (tensors,)
    try:
        return rename(*arguments)
    except (KeyError, RuntimeError, ValueError, AssertionError):
        return tensors  # not a file of the original authors: let the names speak


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
