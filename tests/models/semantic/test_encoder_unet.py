from typing import Any, get_args

import pytest
import torch
from tests.support.small_models import TAXONOMY, noise_batch
from torch import Tensor, nn

from segscape.layers.upsampled_conv import UpsampledConv2d
from segscape.layers.upsampling import UPSAMPLINGS
from segscape.models import build_model
from segscape.models.semantic.encoder_unet import (
    EncoderUNet,
    UpBlock,
    UpsampleJoinConvolve,
    Upsampling,
)
from segscape.structures import RecipeError


class Pyramid(nn.Module):
    """An encoder of given strides; its maps say which one they are."""

    def __init__(self, strides: tuple[int, ...], size_multiple: int = 16) -> None:
        super().__init__()
        self.strides = strides
        self.channels = tuple(4 + index for index in range(len(strides)))
        self.size_multiple = size_multiple

    def forward(self, pixels: Tensor) -> list[Tensor]:
        batch, _, height, width = pixels.shape
        return [
            torch.full((batch, count, height // stride, width // stride), float(index))
            for index, (count, stride) in enumerate(zip(self.channels, self.strides, strict=True))
        ]


def joined_channels(model: Any) -> list[int]:
    return [block.conv1.in_channels for block in model.blocks]


def test_five_blocks_over_an_encoder_of_stride_32():
    model: Any = build_model("unet", TAXONOMY, {"encoder": "resnet18"})
    assert joined_channels(model) == [512 + 256, 256 + 128, 128 + 64, 64 + 64, 32]
    # By hand: 3 x 3 kernels, batch normalisation's two values, the classifier's biases.
    widths = [256, 128, 64, 32, 16]
    by_hand = sum(
        9 * before * width + 9 * width * width + 4 * width
        for before, width in zip(joined_channels(model), widths, strict=True)
    )
    by_hand += 9 * 16 * 3 + 3
    decoder = [*model.blocks.parameters(), *model.classifier.parameters()]
    assert sum(parameter.numel() for parameter in decoder) == by_hand


@pytest.mark.parametrize(
    ("strides", "joined"),
    [
        ((4, 8, 16), [6 + 5, 8 + 4, 8, 8]),  # no map of stride 2, as of transformers
        ((1, 2, 4), [6 + 5, 8 + 4]),  # a map at full resolution, as of VGG
        ((2, 4, 4, 4), [7 + 4, 8]),  # dilated: the deepest of equal strides is taken
        ((8,), [4, 8, 8]),
    ],
)
def test_decoders_fit_any_strides(strides: tuple[int, ...], joined: list[int]):
    model: Any = EncoderUNet(TAXONOMY, Pyramid(strides), decoder_channels=[8] * 5).eval()
    assert joined_channels(model) == joined
    with torch.no_grad():
        assert model(noise_batch((21, 34))).logits.shape == (1, 3, 21, 34)


def test_dilated_encoders_keep_their_resolution():
    model: Any = build_model("unet", TAXONOMY, {"encoder": "resnet18", "output_stride": 8}).eval()
    assert model.encoder.strides == (2, 4, 8, 8, 8)
    assert [block.conv2.conv.out_channels for block in model.blocks] == [64, 32, 16]
    assert model.pad_to == 8


def test_strides_and_blocks_that_do_not_fit_are_refused():
    with pytest.raises(RecipeError, match="powers of two"):
        EncoderUNet(TAXONOMY, Pyramid((3, 6)))
    with pytest.raises(RecipeError, match="needs 4"):
        EncoderUNet(TAXONOMY, Pyramid((2, 16)), decoder_channels=[8, 8])


def test_every_part_that_needs_no_switches_can_upsample():
    alone = {name for name, part in UPSAMPLINGS.items() if not part.needs_switches}
    assert set(get_args(Upsampling)) == alone


@pytest.mark.parametrize("upsampling", get_args(Upsampling))
@pytest.mark.parametrize("finest_stride", [1, 2])
def test_upsampling_by_any_part_trains_and_fits_any_size(upsampling: str, finest_stride: int):
    options = {"encoder": "plain4", "depth": 3, "decoder_channels": [8, 6]}
    options |= {"upsampling": upsampling, "finest_stride": finest_stride}
    model: Any = build_model("unet", TAXONOMY, options)
    logits = model(noise_batch((13, 18))).logits
    assert logits.shape == (1, 3, 13, 18)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_nearest_upsampling_is_the_fused_one_and_equals_its_steps():
    torch.manual_seed(0)
    fused = UpBlock(6, 3, 4).eval()
    assert isinstance(fused.conv1, UpsampledConv2d)
    steps = UpsampleJoinConvolve(6, 3, 4, "nearest")
    steps.conv.weight = fused.conv1.weight
    x, skip = torch.randn(2, 6, 5, 7), torch.randn(2, 3, 10, 14)
    torch.testing.assert_close(fused.conv1(x, skip), steps(x, skip), atol=1e-5, rtol=1e-5)
