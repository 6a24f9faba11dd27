from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import vgg16

from segscape.encoders import VGG16, build_encoder
from segscape.encoders.vgg import AtrousVGG16
from segscape.encoders.weight_files import read_torchvision
from segscape.structures import CheckpointError


@pytest.fixture(scope="module")
def public() -> torch.nn.Module:
    """Torchvision's convolutions with random weights; the classifier is not needed here."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = vgg16()
    model.features.to_empty(device="cpu")
    for parameter in model.features.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model.features.eval()


def test_public_weights_give_torchvisions_features(public: torch.nn.Module, tmp_path: Path):
    tensors = {f"features.{name}": one for name, one in public.state_dict().items()}
    torch.save(tensors, tmp_path / "vgg16.pth")
    encoder: Any = build_encoder("vgg16", weights=tmp_path / "vgg16.pth")
    encoder.eval()
    pixels = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        maps = encoder(pixels)
        assert torch.equal(maps[-1], public(pixels))
    assert tuple(one.shape[1] for one in maps) == encoder.channels == (64, 128, 256, 512, 512)
    assert [64 // one.shape[2] for one in maps] == list(encoder.strides)


def test_caffes_pooling_keeps_incomplete_windows():
    encoder = VGG16(first_padding=100, ceil_mode=True).eval()
    with torch.no_grad():
        sides = [one.shape[3] for one in encoder(torch.zeros(1, 3, 1, 37))]
    assert sides == [118, 59, 30, 15, 8]  # 37 + 2 * 100 - 2 = 235, halved and rounded up


def test_other_channels(public: torch.nn.Module, tmp_path: Path):
    tensors = {f"features.{name}": one for name, one in public.state_dict().items()}
    torch.save(tensors, tmp_path / "vgg16.pth")
    five: Any = VGG16(in_channels=5, weights=tmp_path / "vgg16.pth")
    assert five.features[0].weight.shape == (64, 5, 3, 3)
    torch.testing.assert_close(
        five.features[0].weight[:, 3], tensors["features.0.weight"][:, 0] * 3 / 5
    )


def test_other_networks_are_refused(tmp_path: Path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"25 of 26 tensors are missing \(features\.0\.bias"):
        VGG16(weights=tmp_path / "w.pth")
    assert list(read_torchvision("VGG16_Weights.IMAGENET1K_V1", tmp_path / "w.pth")) == [
        "features.0.weight"
    ]


def test_atrous_vgg_has_caffes_sides_and_lies_over_every_eighth_pixel():
    torch.manual_seed(0)
    trunk = AtrousVGG16().eval()
    with torch.no_grad():
        for side, expected in ((321, [161, 81, 41, 41, 41]), (500, [251, 126, 64, 64, 64])):
            maps = trunk(torch.zeros(1, 3, 1, side))
            assert [one.shape[3] for one in maps] == expected
        assert [one.shape[3] for one in trunk(torch.zeros(1, 3, 1, 1))] == [1] * 5
    # Output i of a layer of kernel k, rate r, stride s and padding p lies over its input's
    # i s + r (k - 1) / 2 - p.
    scale, offset, rates = 1, 0.0, []
    for layer in trunk.features:
        if isinstance(layer, torch.nn.Conv2d | torch.nn.MaxPool2d):
            one: Any = layer
            kernel, stride, padding, rate = (
                value if isinstance(value, int) else value[0]
                for value in (one.kernel_size, one.stride, one.padding, one.dilation)
            )
            offset += scale * (rate * (kernel - 1) / 2 - padding)
            scale *= stride
            rates.append(rate)
    assert (scale, offset) == (8, 0)
    assert rates == [1] * 14 + [2] * 3 + [1]


def test_atrous_vgg_averages_after_its_last_pooling(public: torch.nn.Module, tmp_path: Path):
    tensors = {f"features.{name}": one for name, one in public.state_dict().items()}
    torch.save(tensors, tmp_path / "vgg16.pth")
    trunk: Any = AtrousVGG16(weights=tmp_path / "vgg16.pth").eval()
    assert torch.equal(trunk.features[28].weight, tensors["features.28.weight"])
    with torch.no_grad():
        pixels = torch.randn(1, 3, 24, 24)
        before = trunk.features(pixels)
        by_hand = torch.nn.functional.pad(before, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1)
        torch.testing.assert_close(trunk(pixels)[-1], by_hand.mean((4, 5)))
