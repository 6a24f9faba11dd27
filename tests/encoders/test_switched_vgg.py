from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import vgg16_bn
from torchvision.models.vgg import make_layers

from segscape.encoders.switched_vgg import SwitchedVGG16
from segscape.encoders.weight_files import read_weights
from segscape.ops.unpool import unpool
from segscape.structures import CheckpointError

WIDTHS = (4, 8, 16, 32, 32)


def torchvisions(*, batch_norm: bool, seed: int = 0) -> nn.Sequential:
    """Torchvision's own layers of VGG16 at a sixteenth of its channels."""
    torch.manual_seed(seed)
    plan: list[Any] = []
    for width, count in zip(WIDTHS, (2, 2, 3, 3, 3), strict=True):
        plan += [width] * count + ["M"]
    layers = make_layers(plan, batch_norm=batch_norm)
    for module in layers.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name, tensor in module.state_dict().items():
                if name == "running_var":
                    nn.init.uniform_(tensor, 0.5, 2)
                elif tensor.is_floating_point():
                    nn.init.normal_(tensor)
        elif isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.bias)
    return layers.eval()


def public(layers: nn.Module) -> dict[str, Tensor]:
    return {f"features.{name}": tensor for name, tensor in layers.state_dict().items()}


def test_weights_with_batch_normalisation_give_torchvisions_features(tmp_path: Path):
    layers = torchvisions(batch_norm=True)
    torch.save(public(layers), tmp_path / "vgg16_bn.pth")
    encoder = SwitchedVGG16(channels=4).eval()
    encoder.load_public(read_weights(tmp_path / "vgg16_bn.pth"), source="a file")
    pixels = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        x, switches = encoder(pixels)
        assert torch.equal(x, layers(pixels))
    assert [level.size for level in switches] == [(64 >> n, 96 >> n) for n in range(5)]
    assert encoder.channels == WIDTHS


def test_weights_without_it_leave_it_as_it_is():
    layers = torchvisions(batch_norm=False)
    encoder = SwitchedVGG16(channels=4).eval()
    encoder.load_public(public(layers), source="a file")
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            # With mean 0, deviation 1 and scale 1: the identity.
            module.eps = 0.0
            nn.init.zeros_(module.bias)
    pixels = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder(pixels)[0], layers(pixels))


def test_names_and_shapes_are_vgg16_bns():
    with torch.device("meta"):
        ours, theirs = SwitchedVGG16(), vgg16_bn().features
    assert {name: one.shape for name, one in ours.state_dict().items()} == {
        name: one.shape for name, one in public(theirs).items()
    }


def test_the_switches_are_those_of_each_pooling():
    encoder = SwitchedVGG16(channels=4).eval()
    x, switches = encoder(torch.randn(1, 3, 45, 61))
    assert [level.size for level in switches] == [(45, 61), (23, 31), (12, 16), (6, 8), (3, 4)]
    assert x.shape[2:] == (2, 2)
    # What is pooled again after unpooling is what it was: the maxima are not negative.
    assert torch.equal(F.max_pool2d(unpool(x, switches[-1]), 2, ceil_mode=True), x)


def test_dropout_is_in_the_three_deepest_levels_and_in_training_only():
    encoder = SwitchedVGG16(channels=4, dropout=0.5)
    pixels = torch.randn(2, 3, 64, 64)
    first, second = encoder(pixels), encoder(pixels)
    assert not torch.equal(first[0], second[0])
    for level in range(3):
        assert torch.equal(first[1][level].packed, second[1][level].packed)
    assert not torch.equal(first[1][3].packed, second[1][3].packed)
    encoder.eval()
    assert torch.equal(encoder(pixels)[0], encoder(pixels)[0])


@pytest.mark.parametrize("batch_norm", [True, False])
def test_other_networks_are_refused(batch_norm: bool):
    tensors = public(torchvisions(batch_norm=batch_norm))
    with pytest.raises(CheckpointError, match="4 channels, the network with 8: leave"):
        SwitchedVGG16(channels=8).load_public(tensors, source="a file")
    del tensors["features.0.bias"]
    with pytest.raises(CheckpointError, match=r"missing \(features\.0\.bias"):
        SwitchedVGG16(channels=4).load_public(tensors, source="a file")
    with pytest.raises(CheckpointError, match="0 convolutions named features"):
        SwitchedVGG16(channels=4).load_public({"x": torch.zeros(1)}, source="a file")
