import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from segscape.encoders import Encoder, build_encoder
from segscape.encoders.mix_transformer import SIZES, EfficientAttention, MixTransformer
from segscape.structures import CheckpointError, RecipeError


def by_hand(channels: tuple[int, ...], blocks: tuple[int, ...]) -> int:
    """Weights and biases of every layer of sec. 3.1, counted from the paper."""
    total, before = 0, 3
    for stage, (width, number) in enumerate(zip(channels, blocks, strict=True)):
        side, reduction = (7 if stage == 0 else 3), (8, 4, 2, 1)[stage]
        total += side * side * before * width + width + 2 * width  # patches and their norm
        attention = 4 * (width * width + width)  # query, key, value, output
        if reduction > 1:
            attention += reduction**2 * width * width + width + 2 * width
        hidden = 4 * width
        mix = (width * hidden + hidden) + (9 * hidden + hidden) + (hidden * width + width)
        total += number * (attention + mix + 2 * 2 * width) + 2 * width
        before = width
    return total


@pytest.mark.parametrize(
    ("name", "golden", "millions"),
    [
        ("mit_b0", 3_319_392, 3.3),
        ("mit_b1", 13_151_424, 13.1),
        ("mit_b2", 24_196_288, 24.2),
        ("mit_b3", 44_072_128, 44.0),
        ("mit_b4", 60_842_688, 60.8),
        ("mit_b5", 81_443_008, 81.4),
    ],
)
def test_parameters_are_the_published_ones(name: str, golden: int, millions: float):
    with torch.device("meta"):
        encoder = MixTransformer(*SIZES[name])
    counted = sum(parameter.numel() for parameter in encoder.parameters())
    assert counted == golden == by_hand(*SIZES[name])
    assert counted / 1e6 == pytest.approx(millions, abs=0.1)


def test_maps_come_finest_first():
    encoder = build_encoder("mit_b0", in_channels=5)
    assert isinstance(encoder, Encoder)
    with torch.no_grad():
        maps = encoder(torch.randn(2, 5, 64, 96))
    assert encoder.channels == (32, 64, 160, 256)
    assert [tuple(one.shape) for one in maps] == [
        (2, 32, 16, 24),
        (2, 64, 8, 12),
        (2, 160, 4, 6),
        (2, 256, 2, 3),
    ]


def test_depth_builds_no_more_than_is_used():
    encoder: Any = build_encoder("mit_b0", depth=2)
    assert (encoder.channels, encoder.strides, len(encoder.stages)) == ((32, 64), (4, 8), 2)


def test_attention_is_the_papers():
    """Eqs. 1 and 2 written out for one head at a time."""
    torch.manual_seed(0)
    layer: Any = EfficientAttention(6, heads=2, reduction=2)
    x = torch.randn(1, 4, 6, 6)
    windows = x.reshape(1, 2, 2, 3, 2, 6).permute(0, 1, 3, 5, 2, 4).reshape(6, 24)
    reduced = layer.norm(F.linear(windows, layer.sr.weight.reshape(6, 24), layer.sr.bias))
    query, pairs = layer.q(x.reshape(24, 6)), layer.kv(reduced)
    heads: list[Tensor] = []
    for part in (slice(0, 3), slice(3, 6)):
        weights = (query[:, part] @ pairs[:, :6][:, part].T / 3**0.5).softmax(1)
        heads.append(weights @ pairs[:, 6:][:, part])
    expected = layer.proj(torch.cat(heads, dim=1)).reshape(1, 4, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def authors_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As `mit_b0.pth`: patch_embed1.proj.weight, block1.0.attn.q.weight, norm1.weight ..."""
    renamed: dict[str, Tensor] = {"head.weight": torch.zeros(1000, 256)}
    for name, tensor in state.items():
        stage, rest = name.removeprefix("stages.").split(".", 1)
        part, inside = rest.split(".", 1)
        inside = inside.replace("mlp.dwconv", "mlp.dwconv.dwconv")
        renamed[f"{part.replace('blocks', 'block')}{int(stage) + 1}.{inside}"] = tensor
    return renamed


def hugging_face_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As `nvidia/mit-b0`: segformer.encoder.block.0.1.attention.self.query.weight ..."""
    inside = {
        r"^norm1": "layer_norm_1",
        r"^norm2": "layer_norm_2",
        r"^attn\.q": "attention.self.query",
        r"^attn\.sr": "attention.self.sr",
        r"^attn\.norm": "attention.self.layer_norm",
        r"^attn\.proj": "attention.output.dense",
        r"^mlp\.fc": "mlp.dense",
        r"^mlp\.dwconv": "mlp.dwconv.dwconv",
    }
    renamed: dict[str, Tensor] = {"classifier.weight": torch.zeros(1000, 256)}
    for name, tensor in state.items():
        stage, part, rest = name.removeprefix("stages.").split(".", 2)
        if part == "patch_embed":
            rest = f"{stage}.{rest.replace('norm', 'layer_norm')}"
            renamed[f"segformer.encoder.patch_embeddings.{rest}"] = tensor
        elif part == "norm":
            renamed[f"segformer.encoder.layer_norm.{stage}.{rest}"] = tensor
        else:
            block, rest = rest.split(".", 1)
            prefix = f"segformer.encoder.block.{stage}.{block}."
            for pattern, theirs in inside.items():
                rest = re.sub(pattern, theirs, rest)
            if rest.startswith("attn.kv"):
                kind = rest.rsplit(".", 1)[1]
                renamed[f"{prefix}attention.self.key.{kind}"] = tensor.chunk(2)[0]
                renamed[f"{prefix}attention.self.value.{kind}"] = tensor.chunk(2)[1].clone()
            else:
                renamed[prefix + rest] = tensor
    return renamed


@pytest.mark.parametrize("spell", [authors_names, hugging_face_names, dict])
def test_public_files_load_by_name(tmp_path: Path, spell: Any):
    torch.manual_seed(1)
    trained: Any = build_encoder("mit_b0")
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(torch.randn_like(parameter) / 50)
    names = spell(trained.state_dict())
    save_file({name: one.contiguous() for name, one in names.items()}, tmp_path / "w.safetensors")
    loaded: Any = build_encoder("mit_b0", weights=tmp_path / "w.safetensors")
    for name, tensor in trained.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_public_names_are_as_published():
    """One of each kind, as the published files spell them."""
    state = MixTransformer(*SIZES["mit_b0"]).state_dict()
    assert {
        "patch_embed1.proj.weight",
        "patch_embed4.norm.bias",
        "block1.0.attn.q.weight",
        "block2.1.attn.kv.bias",
        "block3.0.attn.sr.weight",
        "block3.0.attn.norm.weight",
        "block4.1.attn.proj.bias",
        "block1.0.mlp.fc1.weight",
        "block1.0.mlp.dwconv.dwconv.weight",
        "block1.0.norm2.bias",
        "norm4.weight",
    } <= set(authors_names(state))
    assert {
        "segformer.encoder.patch_embeddings.0.layer_norm.weight",
        "segformer.encoder.block.0.0.layer_norm_1.weight",
        "segformer.encoder.block.0.0.attention.self.query.weight",
        "segformer.encoder.block.0.0.attention.self.value.bias",
        "segformer.encoder.block.0.0.attention.self.layer_norm.bias",
        "segformer.encoder.block.3.1.attention.output.dense.weight",
        "segformer.encoder.block.0.0.mlp.dense1.weight",
        "segformer.encoder.block.0.0.mlp.dwconv.dwconv.bias",
        "segformer.encoder.layer_norm.3.weight",
    } <= set(hugging_face_names(state))


def test_blocks_are_skipped_in_training_only_and_more_often_with_depth():
    torch.manual_seed(0)
    encoder: Any = MixTransformer(*SIZES["mit_b0"], drop_path=0.5)
    chances = [block.drop_path for stage in encoder.stages for block in stage.blocks]
    assert chances == pytest.approx(torch.linspace(0, 0.5, 8).tolist())
    block = encoder.stages[3].blocks[1]
    x = torch.randn(64, 1, 1, 256)
    with torch.no_grad():
        untouched = (block.train()(x) == x).flatten(1).all(1).sum()
        assert not torch.equal(block.eval()(x), x)
    assert 4 < untouched < 32  # attention and network both skipped: a quarter of 64


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"output_stride": 8}, RecipeError, "cannot give output_stride 8"),
        ({"depth": 5}, RecipeError, "choose 1 to 4"),
        ({"weights": "download"}, CheckpointError, "weights=PATH"),
    ],
)
def test_what_it_cannot_do_is_refused(options, error, message):
    with pytest.raises(error, match=message) as caught:
        build_encoder("mit_b0", **options)
    assert "\n" not in str(caught.value)


def test_files_of_another_size_are_refused(tmp_path: Path):
    save_file(
        authors_names(MixTransformer(*SIZES["mit_b0"]).state_dict()), tmp_path / "w.safetensors"
    )
    with pytest.raises(CheckpointError, match=r"w\.safetensors does not fit"):
        build_encoder("mit_b1", weights=tmp_path / "w.safetensors")
