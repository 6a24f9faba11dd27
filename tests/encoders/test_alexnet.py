from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import alexnet

from segscape.encoders import build_encoder
from segscape.encoders.alexnet import AlexNet
from segscape.encoders.convolutional_classifier import ConvolutionalClassifier, convolutionalize
from segscape.encoders.weight_files import load_by_name
from segscape.structures import CheckpointError, RecipeError


@pytest.fixture(scope="module")
def public() -> Any:
    """Torchvision's network with random weights and few fully connected channels."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = alexnet()
    model.features.to_empty(device="cpu")
    model.classifier[1] = torch.nn.Linear(256 * 36, 12)
    model.classifier[4] = torch.nn.Linear(12, 12)
    model.classifier[6] = torch.nn.Linear(12, 1000)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.03)
    return model.eval()


def test_public_weights_give_torchvisions_features(public: Any):
    encoder = AlexNet(first_padding=2, pool_padding=0).eval()
    load_by_name(encoder, public.state_dict(), source="a file")
    pixels = torch.randn(2, 3, 223, 255)  # sides at which no pooling has incomplete windows
    with torch.no_grad():
        assert torch.equal(encoder(pixels)[-1], public.features(pixels))


def test_the_whole_classifier_becomes_a_convolution(public: Any):
    """Torchvision's own scores at 223 x 223, and all of them on a larger image."""
    encoder = AlexNet(first_padding=2, pool_padding=0).eval()
    load_by_name(encoder, public.state_dict(), source="a file")
    classifier = ConvolutionalClassifier(in_channels=256, side=6, channels=12).eval()
    layers = ("classifier.1", "classifier.4")
    classifier.load_public(public.state_dict(), layers=layers, source="a file")
    pixels = torch.randn(1, 3, 223, 223)
    with torch.no_grad():
        hidden = classifier(encoder(pixels)[-1])
        scores = public.classifier[6](hidden[:, :, 0, 0])
        torch.testing.assert_close(scores, public(pixels))
        assert classifier(encoder(torch.zeros(1, 3, 287, 255))[-1]).shape == (1, 12, 3, 2)


def test_as_an_encoder_its_maps_halve_exactly(public: Any, tmp_path: Path):
    torch.save(public.state_dict(), tmp_path / "alexnet.pth")
    encoder: Any = build_encoder("alexnet", weights=tmp_path / "alexnet.pth")
    with torch.no_grad():
        maps = encoder(torch.zeros(1, 3, 96, 64))
    assert [tuple(one.shape[1:]) for one in maps] == [(64, 12, 8), (192, 6, 4), (256, 3, 2)]
    assert (encoder.channels, encoder.strides) == ((64, 192, 256), (8, 16, 32))
    with pytest.raises(RecipeError, match="always returns 3 maps"):
        build_encoder("alexnet", depth=4)
    with pytest.raises(RecipeError, match="output_stride 8"):
        build_encoder("alexnet", output_stride=8)


def test_the_published_variant_has_the_papers_parameters():
    """2.3 million of the paper's 61 million stand in convolutions, half of them in two groups."""
    encoder = AlexNet(variant="published")
    by_hand = 121 * 3 * 96 + 96 + 25 * 48 * 256 + 256 + 9 * 256 * 384 + 384
    by_hand += 9 * 192 * 384 + 384 + 9 * 192 * 256 + 256
    assert sum(one.numel() for one in encoder.parameters()) == by_hand == 2_334_080


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a.weight": None}, "a file lacks a.weight"),
        ({"b.bias": None}, "a file lacks b.bias"),
        ({"a.weight": torch.zeros(4, 19)}, r"a.weight of \(4, 19\) does not read a map of 3 x 3"),
        ({"b.weight": torch.zeros(4)}, r"b.weight of \(4,\) does not read a map of 1 x 1"),
    ],
)
def test_other_classifiers_are_refused(change: dict[str, Any], message: str):
    tensors: dict[str, Any] = {
        "a.weight": torch.zeros(4, 18),
        "a.bias": torch.zeros(4),
        "b.weight": torch.zeros(4, 4),
        "b.bias": torch.zeros(4),
    }
    tensors = {name: one for name, one in (tensors | change).items() if one is not None}
    with pytest.raises(CheckpointError, match=message):
        convolutionalize(tensors, layers=("a", "b"), side=3, source="a file")
