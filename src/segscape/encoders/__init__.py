"""Images to feature maps, finest first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from segscape.encoders.alexnet import build_alexnet
from segscape.encoders.dilation import set_multi_grid
from segscape.encoders.encoder import Encoder as Encoder
from segscape.encoders.encoder import no_denser_maps
from segscape.encoders.mix_transformer import SIZES as MIX_TRANSFORMERS
from segscape.encoders.mix_transformer import MixTransformer as MixTransformer
from segscape.encoders.mix_transformer import build_mix_transformer
from segscape.encoders.plain import PREFIX, build_plain
from segscape.encoders.plain import PlainEncoder as PlainEncoder
from segscape.encoders.timm_encoder import TimmEncoder as TimmEncoder
from segscape.encoders.vgg import VGG16 as VGG16
from segscape.encoders.vgg import build_vgg16
from segscape.structures import RecipeError


def build_encoder(
    name: str,
    *,
    in_channels: int = 3,
    output_stride: int = 32,
    weights: Path | Literal["download"] | None = None,
    depth: int | None = None,
    multi_grid: Sequence[int] | None = None,
) -> Encoder:
    """Build an encoder by name: one of our own, else any backbone of timm.

    Args:
        name: `vgg16` or `alexnet`; `mit_b0` to `mit_b5`; `plain` and the channels of its first
            level, as `plain16`; or a name of timm.
        in_channels: channels of the input.
        output_stride: 8, 16 or 32, where the backbone can.
        weights: None for random weights, a local file, or "download".
        depth: how many maps to return, finest first; None returns all.
        multi_grid: factors of the rates of the last stage's blocks (`set_multi_grid`), None for
            one rate; of residual networks only.

    Raises:
        RecipeError: for an unknown name or an option the backbone does not offer.
        CheckpointError: when the weights do not fit or cannot be fetched.
    """
    published = {"vgg16": (build_vgg16, 5), "alexnet": (build_alexnet, 3)}
    if multi_grid is not None and (name in published or name.startswith(PREFIX)):
        raise RecipeError(
            f"encoder '{name}' has no residual blocks for multi_grid {list(multi_grid)}: leave it "
            "out (null), or choose a residual network, as resnet50"
        )
    if name in published:
        build, maps = published[name]
        if depth not in (None, maps):
            raise RecipeError(
                f"encoder '{name}' always returns {maps} maps, depth {depth} was asked for"
            )
        return build(in_channels=in_channels, output_stride=output_stride, weights=weights)
    if name in MIX_TRANSFORMERS:
        return build_mix_transformer(
            name,
            in_channels=in_channels,
            output_stride=output_stride,
            weights=weights,
            depth=depth,
        )
    if name.startswith(PREFIX):
        if weights is not None:
            raise RecipeError(
                f"encoder '{name}' has no public weights: leave out weights, or choose a backbone "
                "of timm, as resnet34"
            )
        if output_stride != 32:
            raise no_denser_maps(f"encoder '{name}'", output_stride)
        return build_plain(name, in_channels=in_channels, depth=depth)
    encoder = TimmEncoder(
        name, in_channels=in_channels, output_stride=output_stride, weights=weights, depth=depth
    )
    if multi_grid is not None:
        set_multi_grid(encoder.backbone, multi_grid)
    return encoder
