from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.support.small_models import noise_batch
from torch import nn

from segscape.models import build_model
from segscape.models.semantic.sliding_window import (
    SlidingWindow,
    pool_everywhere,
    side_after_poolings,
)
from segscape.structures import ImageBatch, RecipeError, Taxonomy

TWO = Taxonomy.from_names(["membrane", "cell"])


def small(window: int = 63, *, in_channels: int = 1) -> SlidingWindow:
    torch.manual_seed(0)
    return SlidingWindow(
        TWO, window=window, in_channels=in_channels, channels=6, hidden_channels=8
    ).eval()


def test_parameters_are_those_of_table_1():
    model = SlidingWindow(TWO)
    by_hand = (1 * 16 + 1) * 48 + (48 * 25 + 1) * 48 + 2 * (48 * 16 + 1) * 48
    by_hand += (48 * 3 * 3 + 1) * 200 + (200 + 1) * 2
    assert sum(parameter.numel() for parameter in model.parameters()) == by_hand == 219_290


def test_a_window_shrinks_as_in_table_1():
    model = SlidingWindow(TWO, channels=2, hidden_channels=2)
    sides: list[int] = []

    def note(_: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        sides.extend((inputs[0].shape[2], output.shape[2]))

    for convolution in model.convolutions:
        convolution.register_forward_hook(note)
    with torch.no_grad():
        assert model.score_window(torch.zeros(1, 1, 95, 95)).shape == (1, 2)
    assert sides == [95, 92, 46, 42, 21, 18, 9, 6]
    assert model.hidden.in_features == 2 * 3 * 3


@pytest.mark.parametrize("window", [63, 79, 95])
def test_the_dense_form_equals_window_by_window(window: int):
    model = small(window)
    tiles = model.tiles(noise_batch((9, 6), (4, 7), channels=1))
    with torch.no_grad():
        dense = model.score(tiles).logits
        slow = model.score_window_by_window(tiles, at_once=25).logits
    assert dense.shape == slow.shape == (2, 2, 9, 7)
    torch.testing.assert_close(dense, slow, atol=1e-5, rtol=1e-5)


def test_a_pixel_is_classified_from_the_window_around_it():
    """Torch's own mirror, a window cut by hand, its centre on the pixel."""
    model = small()
    images = noise_batch((40, 45), channels=1)
    mirrored = F.pad(model.normalize(images.pixels), (31, 31, 31, 31), mode="reflect")
    with torch.no_grad():
        logits = model(images).logits
        for row, column in ((0, 0), (17, 30), (39, 44)):
            window = mirrored[:, :, row : row + 63, column : column + 63]
            alone = model.score_window(window)[0]
            torch.testing.assert_close(logits[0, :, row, column], alone, atol=1e-5, rtol=1e-5)


def test_gradients_of_both_forms_are_equal():
    model = small()
    tiles = model.tiles(noise_batch((5, 4), channels=1))
    gradients: list[tuple[torch.Tensor, ...]] = []
    for score in (model.score, model.score_window_by_window):
        loss = score(tiles).logits.square().mean()
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))
    for dense, slow in zip(*gradients, strict=True):
        torch.testing.assert_close(dense, slow, atol=1e-5, rtol=1e-3)


def test_pooling_everywhere_is_torchs_dilated_pooling():
    x = torch.randn(2, 3, 20, 23)
    for distance in (1, 2, 8):
        expected = F.max_pool2d(x, 2, stride=1, dilation=distance)
        assert torch.equal(pool_everywhere(x, distance), expected)


def test_an_image_scores_the_same_beside_a_larger_one():
    model = small(in_channels=3)
    both = noise_batch((30, 40), (13, 20))
    alone = ImageBatch(both.pixels[1:, :, :13, :20], both.sizes[1:])
    with torch.no_grad():
        together = model(both).logits[1:, :, :13, :20]
        torch.testing.assert_close(together, model(alone).logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("window", [1, 33, 47, 64, 65, 94])
def test_windows_that_do_not_halve_are_refused(window: int):
    with pytest.raises(RecipeError, match=f"window of {window} pixels .* choose 63, 79, 95"):
        build_model("sliding_window", TWO, {"window": window})


def test_all_windows_that_halve_are_odd():
    def fits(window: int) -> Any:
        try:
            return side_after_poolings(window)
        except RecipeError:
            return None

    assert {w: fits(w) for w in range(1, 130) if fits(w)} == {63: 1, 79: 2, 95: 3, 111: 4, 127: 5}
