"""The mix transformer, MiT: SegFormer's encoder.

E. Xie, W. Wang, Z. Yu, A. Anandkumar, J. M. Alvarez, P. Luo: SegFormer: Simple and Efficient Design
for Semantic Segmentation with Transformers, 2021, arXiv:2105.15203, sec. 3.1 and table 6.

Differences from the paper: the hidden layers of the feed-forward networks are four times as wide as
the map in all stages, as in the authors' code and public weights; table 6 has eight times in the
first two, with which MiT-B1 would have 13.5 million parameters, not the published 13.1. Sides are
multiples of 32, so that no pixel is left over where keys are reduced. Skipping blocks in training
is off unless asked for.

Weights: files of the authors (`mit_b0.pth` ...) and of Hugging Face (`nvidia/mit-b0` ...) load by
name, those of whole SegFormers too.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segscape.encoders.encoder import no_denser_maps
from segscape.encoders.weight_files import load_by_name, read_weights
from segscape.structures import CheckpointError, RecipeError

# Channels and blocks of each stage (table 6).
SIZES: dict[str, tuple[tuple[int, int, int, int], tuple[int, int, int, int]]] = {
    "mit_b0": ((32, 64, 160, 256), (2, 2, 2, 2)),
    "mit_b1": ((64, 128, 320, 512), (2, 2, 2, 2)),
    "mit_b2": ((64, 128, 320, 512), (3, 4, 6, 3)),
    "mit_b3": ((64, 128, 320, 512), (3, 4, 18, 3)),
    "mit_b4": ((64, 128, 320, 512), (3, 8, 27, 3)),
    "mit_b5": ((64, 128, 320, 512), (3, 6, 40, 3)),
}
STRIDES = (4, 8, 16, 32)
HEADS = (1, 2, 5, 8)
REDUCTIONS = (8, 4, 2, 1)
EXPANSION = 4
# The authors' code: 1e-6 around blocks and after stages, torch's 1e-5 inside them.
EPSILON = 1e-6


class PatchEmbedding(nn.Module):
    """Overlapping patches: a strided convolution wider than its stride, normalised (sec. 3.1)."""

    def __init__(self, in_channels: int, channels: int, *, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(
            in_channels, channels, kernel_size, stride=stride, padding=kernel_size // 2
        )
        self.norm = nn.LayerNorm(channels)

    def forward(
        self, x: Float[Tensor, "batch _ _ _"]
    ) -> Float[Tensor, "batch height width channel"]:
        """Patches, channel last."""
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class EfficientAttention(nn.Module):
    """Self-attention whose keys and values are reduced by R in each direction (eqs. 1 and 2).

    Args:
        channels: of input and output.
        heads: divide the channels.
        reduction: R; 1 for plain self-attention.
    """

    def __init__(self, channels: int, *, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels)
        self.sr = self.norm = None
        if reduction > 1:
            # Eq. 2: R x R pixels side by side, through a linear layer, are a strided convolution.
            self.sr = nn.Conv2d(channels, channels, reduction, stride=reduction)
            self.norm = nn.LayerNorm(channels)

    def forward(
        self, x: Float[Tensor, "batch height width channel"]
    ) -> Float[Tensor, "batch height width channel"]:
        """What each pixel gathers from the others."""
        batch, height, width, channels = x.shape
        query = self.q(x).reshape(batch, -1, self.heads, channels // self.heads).transpose(1, 2)
        reduced = x
        if self.sr is not None and self.norm is not None:
            reduced = self.norm(self.sr(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        pairs = self.kv(reduced).reshape(batch, -1, 2, self.heads, channels // self.heads)
        key, value = pairs.permute(2, 0, 3, 1, 4).unbind(0)
        gathered = F.scaled_dot_product_attention(query, key, value)  # eq. 1
        return self.proj(gathered.transpose(1, 2).reshape(batch, height, width, channels))


class MixFFN(nn.Module):
    """A feed-forward network with a 3 x 3 convolution inside, which tells positions (eq. 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = EXPANSION * channels
        self.fc1 = nn.Linear(channels, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(
        self, x: Float[Tensor, "batch height width channel"]
    ) -> Float[Tensor, "batch height width channel"]:
        """The mixed pixels."""
        mixed = self.dwconv(self.fc1(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.fc2(F.gelu(mixed))


class Block(nn.Module):
    """Attention and feed-forward network, each normalised first and added to its input."""

    def __init__(self, channels: int, *, heads: int, reduction: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=EPSILON)
        self.attn = EfficientAttention(channels, heads=heads, reduction=reduction)
        self.norm2 = nn.LayerNorm(channels, eps=EPSILON)
        self.mlp = MixFFN(channels)
        self.drop_path = drop_path

    def forward(
        self, x: Float[Tensor, "batch height width channel"]
    ) -> Float[Tensor, "batch height width channel"]:
        """The refined pixels."""
        x = x + self._maybe_skip(self.attn(self.norm1(x)))
        return x + self._maybe_skip(self.mlp(self.norm2(x)))

    def _maybe_skip(
        self, x: Float[Tensor, "batch height width channel"]
    ) -> Float[Tensor, "batch height width channel"]:
        """Stochastic depth (G. Huang et al. 2016, arXiv:1603.09382), image by image."""
        if not self.training or self.drop_path == 0:
            return x
        kept = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(1 - self.drop_path)
        return x * (kept / (1 - self.drop_path))


class Stage(nn.Module):
    """Patches of the map before, blocks over them, and a last normalisation."""

    def __init__(
        self, in_channels: int, channels: int, *, index: int, drop_paths: list[float]
    ) -> None:
        super().__init__()
        first = index == 0
        self.patch_embed = PatchEmbedding(
            in_channels, channels, kernel_size=7 if first else 3, stride=4 if first else 2
        )
        self.blocks = nn.Sequential(
            *(
                Block(channels, heads=HEADS[index], reduction=REDUCTIONS[index], drop_path=chance)
                for chance in drop_paths
            )
        )
        self.norm = nn.LayerNorm(channels, eps=EPSILON)

    def forward(
        self, x: Float[Tensor, "batch _ _ _"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The stage's map, channel first."""
        return self.norm(self.blocks(self.patch_embed(x))).permute(0, 3, 1, 2)


class MixTransformer(nn.Module):
    """Four stages of transformer blocks; each returns its map.

    Args:
        channels: of each stage.
        blocks: of each stage.
        in_channels: channels of the input.
        drop_path: chance of skipping the last block in training, falling to 0 at the first, in
            [0, 1).
    """

    size_multiple: int = 32

    def __init__(
        self,
        channels: tuple[int, ...],
        blocks: tuple[int, ...],
        *,
        in_channels: int = 3,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.strides = STRIDES[: len(channels)]
        before_stage = [sum(blocks[:index]) for index in range(len(blocks))]
        last = max(1, sum(blocks) - 1)
        self.stages = nn.ModuleList(
            Stage(
                before,
                after,
                index=index,
                drop_paths=[
                    drop_path * (before_stage[index] + block) / last
                    for block in range(blocks[index])
                ],
            )
            for index, (before, after) in enumerate(
                zip((in_channels, *channels), channels, strict=False)
            )
        )
        self.apply(_initialize)

    def forward(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """The map of each stage, finest first."""
        maps: list[Tensor] = []
        for stage in self.stages:
            maps.append(stage(maps[-1] if maps else pixels))
        return maps

    def load_public(self, tensors: Mapping[str, Tensor], *, source: str) -> None:
        """Fill the encoder from a public state dict, the authors' or Hugging Face's.

        Raises:
            CheckpointError: when a tensor is missing or of another shape.
        """
        load_by_name(self, public_names(tensors), source=source)


def _initialize(module: nn.Module) -> None:
    """As the authors' code: a narrow truncated normal for layers, fan-out for convolutions."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        outputs = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
        nn.init.normal_(module.weight, std=(2 * module.groups / outputs) ** 0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


# Patterns of public names, in turn: the authors', counted from 1, then Hugging Face's, from 0.
_AUTHORS = re.compile(r"(?:backbone\.)?(patch_embed|block|norm)([1-4])\.(.+)")
_HUGGING_FACE = re.compile(
    r"(?:segformer\.)?encoder\.(patch_embeddings|block|layer_norm)\.([0-3])\.(.+)"
)
_PARTS = {
    "patch_embed": "patch_embed",
    "patch_embeddings": "patch_embed",
    "block": "blocks",
    "norm": "norm",
    "layer_norm": "norm",
}
_INSIDE = (
    ("attention.self.query", "attn.q"),
    ("attention.self.sr", "attn.sr"),
    ("attention.self.layer_norm", "attn.norm"),
    ("attention.output.dense", "attn.proj"),
    ("layer_norm_1", "norm1"),
    ("layer_norm_2", "norm2"),
    ("layer_norm", "norm"),
    ("mlp.dense", "mlp.fc"),
    ("dwconv.dwconv", "dwconv"),
)


def public_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a public state dict to the names used here; our own names stay."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        authors, hugging_face = _AUTHORS.fullmatch(name), _HUGGING_FACE.fullmatch(name)
        match = authors or hugging_face
        if match is None:
            renamed[name] = tensor
            continue
        part, number, inside = match.groups()
        for theirs, ours in _INSIDE:
            inside = inside.replace(theirs, ours)
        renamed[f"stages.{int(number) - (authors is not None)}.{_PARTS[part]}.{inside}"] = tensor
    for name in [name for name in renamed if ".attention.self.key." in name]:
        value = renamed.pop(name.replace(".key.", ".value."), None)
        if value is not None:
            joined = torch.cat([renamed.pop(name), value])
            renamed[name.replace("attention.self.key", "attn.kv")] = joined
    return renamed


def build_mix_transformer(
    name: str,
    *,
    in_channels: int = 3,
    output_stride: int = 32,
    weights: Path | Literal["download"] | None = None,
    depth: int | None = None,
    drop_path: float = 0.0,
) -> MixTransformer:
    """Build `mit_b0` to `mit_b5`.

    Raises:
        RecipeError: for an unknown name, an output stride other than 32 or a depth it has not.
        CheckpointError: when the weights do not fit, or are to be downloaded.
    """
    if name not in SIZES:
        raise RecipeError(f"no encoder is named '{name}': choose one of {', '.join(SIZES)}")
    if output_stride != 32:
        raise no_denser_maps(f"encoder '{name}'", output_stride)
    channels, blocks = SIZES[name]
    if depth is not None and not 1 <= depth <= len(channels):
        raise RecipeError(
            f"encoder '{name}' has {len(channels)} feature maps, depth {depth} was asked for: "
            f"choose 1 to {len(channels)}"
        )
    if weights == "download":
        raise CheckpointError(
            f"the weights of encoder '{name}' have no public address to download from: give a "
            "local file as weights=PATH"
        )
    encoder = MixTransformer(
        channels[:depth], blocks[:depth], in_channels=in_channels, drop_path=drop_path
    )
    if weights is not None:
        encoder.load_public(read_weights(weights), source=f"weights file {weights}")
    return encoder
