"""What people are told whose file of weights is another than they think."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision import models

from segscape.encoders import VGG16, build_encoder
from segscape.encoders.public_networks import TOLD, public_network
from segscape.encoders.switched_vgg import SwitchedVGG16
from segscape.encoders.torchvision_encoder import TorchvisionEncoder
from segscape.encoders.vgg import AtrousVGG16
from segscape.encoders.weight_files import load_by_name, read_weights
from segscape.structures import CheckpointError


def _public(name: str) -> dict[str, Tensor]:
    """A state dict of torchvision's shapes, without numbers."""
    build: Any = getattr(models, name)
    with torch.device("meta"):
        return build().state_dict()


@pytest.mark.parametrize("name", sorted(TOLD))
def test_public_networks_are_told_by_their_tensors(name: str):
    assert public_network(_public(name)) == name


@pytest.mark.parametrize("name", ["resnext50_32x4d", "wide_resnet50_2", "mobilenet_v3_large"])
def test_networks_of_alike_names_are_not_mistaken(name: str):
    assert public_network(_public(name)) is None


@pytest.mark.parametrize("build", [VGG16, AtrousVGG16])
def test_batch_normalised_weights_for_a_plain_network_are_named(build: Any, tmp_path: Path):
    file = tmp_path / "w.pth"
    torch.save({name: torch.empty(one.shape) for name, one in _features("vgg16_bn").items()}, file)
    with pytest.raises(CheckpointError, match="those of vgg16_bn, expected those of vgg16: give"):
        build(weights=file)


def _features(name: str) -> dict[str, Tensor]:
    return {key: one for key, one in _public(name).items() if key.startswith("features.")}


def test_deeper_networks_are_refused_though_they_have_every_name(tmp_path: Path):
    deeper = {name: torch.empty(one.shape) for name, one in _public("resnet34").items()}
    torch.save(deeper, tmp_path / "w.pth")
    message = r"w\.pth: the tensors are those of resnet34, expected those of resnet18"
    with pytest.raises(CheckpointError, match=message):
        build_encoder("resnet18", weights=tmp_path / "w.pth")
    public = _public("resnet101")
    with torch.device("meta"):
        encoder = TorchvisionEncoder("resnet50")
    with pytest.raises(CheckpointError, match="those of resnet101, expected those of resnet50"):
        load_by_name(encoder, public, source="w", network="resnet50")
    with torch.device("meta"):
        switched = SwitchedVGG16()
    with pytest.raises(CheckpointError, match="those of vgg19_bn, expected those of vgg16_bn"):
        switched.load_public(_public("vgg19_bn"), source="w")


def test_a_network_that_does_not_fit_is_called_as_people_call_it(tmp_path: Path):
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"does not fit resnet18: \d+ of \d+ tensors are"):
        build_encoder("resnet18", weights=tmp_path / "w.pth")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("held", [torch.nn.Linear(2, 2), {"mean": np.zeros(3)}])
def test_python_objects_are_refused_in_our_own_words(held: object, zipped: bool, tmp_path: Path):
    torch.save(held, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="holds Python objects beside tensors") as caught:
        read_weights(tmp_path / "w.pth")
    _is_ours(str(caught.value))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.pth", b""),
        ("w.pth", b"<html>not found</html>"),
        ("w.pth", b"\x80\x02."),
        ("w.pth", b"PK\x03\x04"),
        # Dicts as keys of a dict: what is told of in a TypeError.
        ("w.pth", b"\x80\x02}(}}u."),
        ("w.safetensors", b"<html>not found</html>"),
    ],
)
def test_damaged_files_are_refused_in_our_own_words(name: str, content: bytes, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{len(content)} bytes. is damaged") as caught:
        read_weights(tmp_path / name)
    _is_ours(str(caught.value))


def test_half_a_file_is_damaged(tmp_path: Path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="is damaged or no file of weights"):
        read_weights(tmp_path / "w.pth")


def _is_ours(message: str) -> None:
    assert len(message.splitlines()) == 1
    assert not any(word in message for word in ("weights_only", "PyTorch", "zip archive", "\x1b"))
