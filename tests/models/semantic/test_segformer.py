from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.support.small_models import TAXONOMY, noise_batch

from segscape.models import build_model
from segscape.models.semantic.segformer import MLPDecoder
from segscape.structures import Taxonomy

ADE20K = Taxonomy.from_names([f"class {index}" for index in range(150)])


@pytest.mark.parametrize(
    ("encoder", "width", "golden", "millions"),
    [
        ("mit_b0", 256, 3_752_694, 3.8),
        ("mit_b1", 256, 13_715_798, 13.7),
        ("mit_b2", 768, 27_461_974, 27.5),
    ],
)
def test_parameters_are_the_published_ones(encoder: str, width: int, golden: int, millions: float):
    """The paper's table 1; 3,752,694 is also the number of Hugging Face's file for ADE20K."""
    model: Any = build_model("segformer", ADE20K, {"encoder": encoder})
    decoder = sum(model.encoder.channels) * width + 4 * width  # eq. 4
    decoder += 4 * width * width + 2 * width + width * 150 + 150
    backbone = sum(parameter.numel() for parameter in model.encoder.parameters())
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == golden == backbone + decoder
    assert counted / 1e6 == pytest.approx(millions, abs=0.06)


def test_the_decoder_is_equations_4_to_6():
    """Lift, enlarge, join, fuse: one step after the other, with the same weights."""
    torch.manual_seed(0)
    decoder: Any = MLPDecoder((3, 5, 7), 6).eval()
    maps = [torch.randn(2, 3, 8, 12), torch.randn(2, 5, 4, 6), torch.randn(2, 7, 2, 3)]
    with torch.no_grad():
        lifted = [
            F.interpolate(lift(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), (8, 12), mode="bilinear")
            for x, lift in zip(maps, decoder.lift, strict=True)
        ]
        joined = torch.cat(lifted, dim=1).permute(0, 2, 3, 1)
        expected = decoder.norm(decoder.fuse(joined).permute(0, 3, 1, 2)).relu()
        torch.testing.assert_close(decoder(maps), expected, atol=1e-5, rtol=1e-5)


def test_skipping_blocks_is_the_papers_unless_told_otherwise():
    model: Any = build_model("segformer", TAXONOMY, {})
    assert model.encoder.stages[3].blocks[1].drop_path == pytest.approx(0.1)
    still: Any = build_model("segformer", TAXONOMY, {"drop_path": 0.0})
    assert still.encoder.stages[3].blocks[1].drop_path == 0


@pytest.mark.parametrize(
    ("encoder", "strides"), [("resnet18", (4, 8, 16, 32)), ("plain4", (4, 8, 16))]
)
def test_other_encoders_give_their_maps_from_a_quarter_on(encoder: str, strides: tuple[int, ...]):
    options = {"encoder": encoder, "decoder_channels": 8}
    model: Any = build_model("segformer", TAXONOMY, options).eval()
    assert model.strides == strides
    with torch.no_grad():
        assert model(noise_batch((37, 50))).logits.shape == (1, 3, 37, 50)
