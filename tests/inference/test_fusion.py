import pytest
import torch
import torch.nn.functional as F
from tests.support.tiny_models import TAXONOMY
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from segscape.inference.fusion import fuse_batch_norms
from segscape.models import build_model
from segscape.structures import ImageBatch, Size


def lived(model: nn.Module) -> nn.Module:
    """Statistics and weights as if the model had been trained."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
                    if tensor is not None:
                        tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


class Plain(nn.Module):
    """Attributes whose order says nothing about the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6)
        self.up_norm = BatchNormAct2d(5)
        self.up = nn.ConvTranspose2d(6, 5, 4, stride=2, padding=1, groups=1)
        self.conv = nn.Conv2d(3, 6, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.up_norm(self.up(F.relu(self.norm(self.conv(x)))))


class Standardised(nn.Conv2d):
    """A convolution whose own rule would undo a folded scale."""

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride] - torch's name
        weight = self.weight / self.weight.flatten(1).norm(dim=1)[:, None, None, None]
        return F.conv2d(x, weight, self.bias, padding=1)


class ReadTwice(Plain):
    """The map before normalisation is used again."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.up_norm(self.up(F.relu(self.norm(y)) + y))


class Shared(Plain):
    """One convolution before two normalisations."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.up_norm(self.up(self.norm(self.conv(x)) + self.other(self.conv(x.flip(3)))))


def check(model: nn.Module, expected_left: int, expected_folded: int) -> None:
    x = torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        before = model(x)
        assert fuse_batch_norms(model, lambda: model(x)) == expected_folded
        torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-4)
    assert norms(model) == expected_left


def test_normalisation_and_its_activation_are_folded():
    model = lived(Plain())
    check(model, 0, 2)
    assert isinstance(model.get_submodule("up_norm"), nn.ReLU)


def test_a_convolution_with_a_rule_of_its_own_is_left_alone():
    model = Plain()
    model.conv = Standardised(3, 6, 3, padding=1)
    check(lived(model), 1, 1)


@pytest.mark.parametrize(("kind", "left", "folded"), [(ReadTwice, 2, 0), (Shared, 2, 1)])
def test_what_cannot_be_folded_exactly_stays(kind, left, folded):
    check(lived(kind()), left, folded)


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv3_small_050", "efficientnet_b0"])
def test_real_networks_are_folded_whole(encoder):
    torch.manual_seed(0)
    model = lived(build_model("unet", TAXONOMY, {"encoder": encoder}))
    batch = ImageBatch(torch.rand(1, 3, 64, 96), (Size(64, 96),))
    with torch.no_grad():
        before = model(batch).logits
        count = norms(model)
        assert fuse_batch_norms(model, lambda: model(batch).logits) == count
        scale = float(before.abs().max())
        torch.testing.assert_close(model(batch).logits / scale, before / scale, rtol=0, atol=1e-4)
    assert norms(model) == 0
