from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from segscape.encoders import Encoder, build_encoder
from segscape.structures import CheckpointError, RecipeError


def build(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    encoder: Any = build_encoder(name, **options)
    return encoder.eval()


@pytest.mark.parametrize(
    ("name", "output_stride", "strides"),
    [
        ("resnet18", 32, (2, 4, 8, 16, 32)),
        ("resnet18", 16, (2, 4, 8, 16, 16)),
        ("resnet18", 8, (2, 4, 8, 8, 8)),
        ("mobilenetv3_small_050", 16, (2, 4, 8, 16, 16)),
        ("convnext_atto", 32, (4, 8, 16, 32)),
        ("swin_tiny_patch4_window7_224", 32, (4, 8, 16, 32)),  # channel last, windows
        ("vit_tiny_patch16_224", 32, (16, 16, 16)),  # tokens
        ("inception_v4", 32, (2, 4, 8, 16, 32)),  # unpadded convolutions
    ],
)
def test_maps_have_the_channels_and_strides_promised(
    name: str, output_stride: int, strides: tuple[int, ...]
):
    encoder = build(name, output_stride=output_stride)
    assert isinstance(encoder, Encoder)
    assert encoder.strides == strides
    height, width = encoder.size_multiple, 2 * encoder.size_multiple
    with torch.no_grad():
        maps = encoder(torch.randn(1, 3, height, width))
    assert [one.shape[1] for one in maps] == list(encoder.channels)
    assert [tuple(one.shape[2:]) for one in maps] == [
        (height // stride, width // stride) for stride in strides
    ]


def test_channel_last_maps_are_turned_not_reshaped():
    encoder = build("swin_tiny_patch4_window7_224")
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        ours, theirs = encoder(pixels)[0], encoder.backbone(pixels)[0]
    assert torch.equal(ours[0, :, 3, 5], theirs[0, 3, 5])


def test_depth_keeps_the_finest_maps():
    encoder = build("resnet18", depth=2)
    assert (encoder.channels, encoder.strides) == ((64, 64), (2, 4))
    assert len(encoder(torch.zeros(1, 3, 32, 32))) == 2
    assert encoder.size_multiple == 4
    # What is deeper would take time, memory and optimizer steps for nothing.
    assert not [name for name, _ in encoder.named_parameters() if "layer2" in name]
    with pytest.raises(RecipeError, match="1 to 5"):
        build("resnet18", depth=6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet35", {}, "did you mean"),
        ("vit_tiny_patch16_224", {"output_stride": 8}, "cannot give output_stride 8"),
        ("swin_tiny_patch4_window7_224", {"output_stride": 16}, "cannot give output_stride 16"),
        ("vgg16", {"output_stride": 4}, "not one of"),
        ("resnet18", {"output_stride": 4}, "not one of"),
    ],
)
def test_what_a_backbone_cannot_do_is_said(name: str, options: dict, message: str):
    with pytest.raises(RecipeError, match=message):
        build(name, **options)


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_weight_files_of_timm_load_by_name(tmp_path: Path, name: str, suffix: str):
    torch.manual_seed(1)
    state = timm.create_model(name).state_dict()
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save({"state_dict": {f"module.{key}": one for key, one in state.items()}}, path)
    else:
        save_file(state, path)
    encoder = build(name, weights=path)
    whole: Any = timm.create_model(name).eval()
    whole.load_state_dict(state)
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        last = whole.forward_intermediates(pixels, intermediates_only=True, norm=False)[-1]
        torch.testing.assert_close(encoder(pixels)[-1], last, atol=1e-4, rtol=1e-4)


def test_torchvisions_weights_load_by_name(tmp_path: Path):
    from torchvision.models import resnet18

    torch.manual_seed(1)
    model: Any = resnet18().eval()
    torch.save(model.state_dict(), tmp_path / "resnet18.pth")
    encoder = build("resnet18", weights=tmp_path / "resnet18.pth")
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        stem = model.maxpool(model.relu(model.bn1(model.conv1(pixels))))
        expected = model.layer2(model.layer1(stem))
        torch.testing.assert_close(encoder(pixels)[2], expected, atol=1e-4, rtol=1e-4)


def test_weights_for_colour_serve_grey_images(tmp_path: Path):
    torch.manual_seed(1)
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "w.safetensors")
    colour = build("resnet18", weights=tmp_path / "w.safetensors")
    grey = build("resnet18", weights=tmp_path / "w.safetensors", in_channels=1)
    pixels = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            grey(pixels)[-1], colour(pixels.expand(-1, 3, -1, -1))[-1], atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnett18", "resnet18"),
        ("mobilenetv3", "mobilenetv3_"),
        ("mit_b9", "mit_b"),
        ("zzzzzz", r"see timm\.list_models"),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(name: str, near: str):
    with pytest.raises(RecipeError, match=f"no encoder is named '{name}'.*{near}"):
        build(name)


def test_weights_of_another_backbone_are_refused(tmp_path: Path):
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=r"w\.safetensors.*of resnet18, expected") as caught:
        build("resnet34", weights=tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not tensors", b"PK\x03\x04broken"])
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_damaged_weight_files_are_named(tmp_path: Path, content: bytes, suffix: str):
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"w\.{suffix}") as caught:
        build("resnet18", weights=path)
    assert "\n" not in str(caught.value)


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("touched"),))


def test_pickled_code_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": Malicious()}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError):
        build("resnet18", weights=tmp_path / "w.pth")
    assert not (tmp_path / "touched").exists()


def test_dilated_kernels_of_single_channels_learn_in_bfloat16_as_in_float32():
    torch.manual_seed(0)
    encoder = build("mobilenetv3_small_050", output_stride=8).train()
    encoder.to(memory_format=torch.channels_last)
    atrous = [
        layer.weight
        for layer in encoder.modules()
        if isinstance(layer, nn.Conv2d) and layer.groups > 1 and max(layer.dilation) > 1
    ]
    assert atrous
    pixels = torch.randn(2, 3, 256, 256).to(memory_format=torch.channels_last)
    exact = torch.autograd.grad(encoder(pixels)[-1].square().mean(), atrous)
    with torch.autocast("cpu", torch.bfloat16):
        out = encoder(pixels)[-1]
    rounded = torch.autograd.grad(out.float().square().mean(), atrous)
    for ours, expected in zip(rounded, exact, strict=True):
        assert torch.cosine_similarity(ours.flatten(), expected.flatten(), 0) > 0.9
