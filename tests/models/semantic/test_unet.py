import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tests.support.small_models import noise_batch
from torch import nn

from segscape.models import build_model
from segscape.models.semantic.unet import UNet, context, covering_side
from segscape.structures import ImageBatch, RecipeError, Taxonomy

TWO = Taxonomy.from_names(["membrane", "cell"])
ELEVEN = Taxonomy.from_names([f"class {index}" for index in range(11)])


def paper_parameters(in_channels: int, categories: int, levels: int = 4) -> int:
    """Figure 1, arrow by arrow, weights and biases; less deep or one level deeper."""
    blue = [(in_channels, 64), (64, 64)]
    green = []
    for narrow in [64, 128, 256, 512, 1024][:levels]:
        wide = 2 * narrow
        blue += [(narrow, wide), (wide, wide), (wide, narrow), (narrow, narrow)]
        green += [(wide, narrow)]
    threes = sum(9 * before * after + after for before, after in blue)
    twos = sum(4 * before * after + after for before, after in green)
    return threes + twos + 64 * categories + categories


@pytest.mark.parametrize(
    ("taxonomy", "in_channels", "levels", "golden"),
    [
        (TWO, 1, 4, 31_030_658),
        (ELEVEN, 3, 4, 31_032_395),
        # The level below one of n channels holds 9 (2 + 4 + 2 + 1) n^2 + 4 * 2 n^2 weights and
        # 2n + 2n + n + n + n biases: 89 n^2 + 7 n.
        (TWO, 1, 3, 31_030_658 - 89 * 512**2 - 7 * 512),
        (TWO, 1, 5, 31_030_658 + 89 * 1024**2 + 7 * 1024),
    ],
)
def test_parameters_are_the_papers(taxonomy: Taxonomy, in_channels: int, levels: int, golden: int):
    with torch.device("meta"):
        model = UNet(taxonomy, in_channels=in_channels, levels=levels)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == golden == paper_parameters(in_channels, len(taxonomy), levels)


@pytest.mark.parametrize(("levels", "layers"), [(3, 18), (4, 23), (5, 28)])
def test_the_network_has_23_convolutional_layers(levels: int, layers: int):
    found = [
        layer
        for layer in UNet(TWO, channels=1, levels=levels).modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert len(found) == layers


# 572 is a side for each depth: the deepest level loses 4 of its pixels, each other one 8.
@pytest.mark.parametrize(
    ("levels", "output"),
    [
        (1, 572 - (4 * 2 + 8)),
        (3, 572 - (4 * 8 + 8 * (1 + 2 + 4))),
        (4, 388),
        (5, 572 - (4 * 32 + 8 * (1 + 2 + 4 + 8 + 16))),
    ],
)
def test_tiles_of_572_give_388(levels: int, output: int):
    model = UNet(TWO, channels=1, levels=levels).eval()
    assert covering_side(output, levels) == 572 == output + 2 * context(levels)
    with torch.no_grad():
        assert model.score(torch.zeros(1, 1, 572, 572)).logits.shape == (1, 2, output, output)


@given(st.integers(1, 2000), st.integers(1, 6))
def test_covering_sides_walk_the_network(output: int, levels: int):
    side = walked = covering_side(output, levels)
    for _ in range(levels):
        walked -= 4
        assert walked % 2 == 0
        walked //= 2
    walked -= 4
    for _ in range(levels):
        walked = 2 * walked - 4
    assert output <= walked < output + 2**levels
    assert side - walked == 2 * context(levels)


@pytest.mark.parametrize("levels", [1, 3, 4, 5])
def test_every_depth_scores_any_size_and_learns_in_every_parameter(levels: int):
    torch.manual_seed(0)
    model = build_model("unet_2015", TWO, {"channels": 2, "levels": levels, "dropout": 0.0})
    assert model.strides == tuple(2**level for level in range(levels + 1))
    for size in ((1, 1), (1, 37), (45, 61)):
        assert model(noise_batch(size)).logits.shape == (1, 2, *size)
    model(noise_batch((45, 61))).logits.square().sum().backward()
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert [name for name, grad in grads.items() if grad is None or not grad.any()] == []


def test_no_pooling_is_refused():
    with pytest.raises(RecipeError, match="levels"):
        build_model("unet_2015", TWO, {"levels": 0})


def test_initial_weights_have_the_papers_spread():
    torch.manual_seed(0)
    model = UNet(TWO, in_channels=1, channels=32)
    second = model.get_parameter("contracting.1.second.weight").detach()
    assert second.std() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
    assert not model.get_parameter("contracting.1.second.bias").any()


@pytest.mark.parametrize(("levels", "before"), [(3, 44), (4, 92), (5, 188)])
def test_the_border_is_mirrored(levels: int, before: int):
    torch.manual_seed(0)
    model = UNet(TWO, in_channels=1, channels=2, levels=levels, mean=[0.0], std=[1.0]).eval()
    images = noise_batch((196, 196), channels=1)  # 388 - 2 * 96: torch can mirror it by itself
    side = covering_side(196, levels)
    after = side - 196 - before
    by_torch = F.pad(images.pixels, (before, after, before, after), mode="reflect")
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
