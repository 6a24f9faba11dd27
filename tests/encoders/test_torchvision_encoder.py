"""torchvision's backbones by name, with ImageNet weights from a file."""

from pathlib import Path

import pytest
import torch
from torchvision import models

from segscape.encoders.torchvision_encoder import TorchvisionEncoder, read_public
from segscape.structures import CheckpointError


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_large"])
@pytest.mark.parametrize("size", [(1, 1), (33, 48)])
def test_maps_have_the_channels_and_strides_promised(name, size: tuple[int, int]):
    encoder = TorchvisionEncoder(name).eval()
    with torch.no_grad():
        maps = encoder(torch.randn(1, 3, *size))
    assert [tuple(one.shape) for one in maps] == [
        (1, channels, -(-size[0] // stride), -(-size[1] // stride))
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]


def test_imagenet_weights_of_the_classifier_load_for_any_channels(tmp_path: Path):
    classifier = models.mobilenet_v3_large(weights=None)
    torch.save(classifier.state_dict(), tmp_path / "imagenet.pth")
    grey = TorchvisionEncoder(
        "mobilenet_v3_large", in_channels=1, weights=tmp_path / "imagenet.pth"
    ).eval()
    colour = TorchvisionEncoder("mobilenet_v3_large", weights=tmp_path / "imagenet.pth").eval()
    pixels = torch.randn(1, 1, 24, 24)
    with torch.no_grad():
        for one, other in zip(grey(pixels), colour(pixels.expand(-1, 3, -1, -1)), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    last = classifier.state_dict()["features.16.0.weight"]
    assert torch.equal(colour.state_dict()["16.0.weight"], last)


def test_a_failed_download_names_the_cure(monkeypatch: pytest.MonkeyPatch):
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(CheckpointError, match=r"no route to host.*weights=PATH"):
        read_public("ResNet50_Weights.IMAGENET1K_V1", "download")
