import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tests.support.small_models import noise_batch
from torch import nn

from segscape.models.semantic.unet import UNet, covering_side
from segscape.structures import ImageBatch, Taxonomy

TWO = Taxonomy.from_names(["membrane", "cell"])
ELEVEN = Taxonomy.from_names([f"class {index}" for index in range(11)])


def paper_parameters(in_channels: int, categories: int) -> int:
    """Figure 1, arrow by arrow, weights and biases."""
    blue = [(in_channels, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    blue += [(256, 512), (512, 512), (512, 1024), (1024, 1024)]
    blue += [(1024, 512), (512, 512), (512, 256), (256, 256), (256, 128), (128, 128)]
    blue += [(128, 64), (64, 64)]
    green = [(1024, 512), (512, 256), (256, 128), (128, 64)]
    threes = sum(9 * before * after + after for before, after in blue)
    twos = sum(4 * before * after + after for before, after in green)
    return threes + twos + 64 * categories + categories


@pytest.mark.parametrize(
    ("taxonomy", "in_channels", "golden"), [(TWO, 1, 31_030_658), (ELEVEN, 3, 31_032_395)]
)
def test_parameters_are_the_papers(taxonomy: Taxonomy, in_channels: int, golden: int):
    model = UNet(taxonomy, in_channels=in_channels)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == golden == paper_parameters(in_channels, len(taxonomy))


def test_the_network_has_23_convolutional_layers():
    layers = [
        layer
        for layer in UNet(TWO, channels=1).modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert len(layers) == 23


def test_tiles_of_572_give_388():
    model = UNet(TWO, channels=1).eval()
    with torch.no_grad():
        assert model.score(torch.zeros(1, 1, 572, 572)).logits.shape == (1, 2, 388, 388)


@given(st.integers(1, 2000))
def test_covering_sides_walk_the_network(output: int):
    side = walked = covering_side(output)
    for _ in range(4):
        walked -= 4
        assert walked % 2 == 0
        walked //= 2
    walked -= 4
    for _ in range(4):
        walked = 2 * walked - 4
    assert output <= walked < output + 16
    assert side - walked == 184


def test_initial_weights_have_the_papers_spread():
    torch.manual_seed(0)
    model = UNet(TWO, in_channels=1, channels=32)
    second = model.get_parameter("contracting.1.second.weight").detach()
    assert second.std() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
    assert not model.get_parameter("contracting.1.second.bias").any()


def test_the_border_is_mirrored():
    torch.manual_seed(0)
    model = UNet(TWO, in_channels=1, channels=2, mean=[0.0], std=[1.0]).eval()
    images = noise_batch((196, 196), channels=1)  # 388 - 2 * 96: torch can mirror it by itself
    side = covering_side(196)
    after = side - 196 - 92
    by_torch = F.pad(images.pixels, (92, after, 92, after), mode="reflect")
    with torch.no_grad():
        expected = model.score(by_torch).logits[:, :, :196, :196]
        torch.testing.assert_close(model(images).logits, expected)


def test_an_image_scores_the_same_beside_a_larger_one():
    torch.manual_seed(0)
    model = UNet(TWO, in_channels=3, channels=2).eval()
    both = noise_batch((50, 70), (33, 20))
    alone = ImageBatch(both.pixels[1:, :, :33, :20], both.sizes[1:])
    with torch.no_grad():
        together = model(both).logits[1:, :, :33, :20]
        torch.testing.assert_close(together, model(alone).logits, atol=1e-5, rtol=1e-4)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    model = UNet(TWO, channels=2)
    images = noise_batch((8, 8), channels=1)
    with torch.no_grad():
        assert not torch.equal(model(images).logits, model(images).logits)
        model.eval()
        assert torch.equal(model(images).logits, model(images).logits)
