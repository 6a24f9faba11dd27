from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.support.small_models import TAXONOMY, noise_batch, small_model

from segscape.models import build_model
from segscape.structures import Taxonomy

ADE20K = Taxonomy.from_names([f"class {index}" for index in range(150)])


@pytest.mark.parametrize(
    ("encoder", "golden", "millions"),
    [
        ("resnet50", 66_496_876, 66),
        ("swin_tiny_patch4_window7_224", 59_938_982, 60),
        ("convnext_tiny", 60_239_756, 60),
    ],
)
def test_parameters_are_the_published_ones(encoder: str, golden: int, millions: int):
    """With the auxiliary head: 60 million over Swin-T and ConvNeXt-T, as those papers say."""
    model: Any = build_model("upernet", ADE20K, {"encoder": encoder, "auxiliary": True})
    *finer, last = model.encoder.channels[-4:]
    head = 4 * (last * 512 + 2 * 512) + 9 * (last + 2048) * 512 + 2 * 512
    head += sum(finer) * 512 + 3 * 9 * 512 * 512 + 6 * 2 * 512
    head += 9 * 2048 * 512 + 2 * 512 + 512 * 150 + 150
    head += 9 * finer[-1] * 256 + 2 * 256 + 256 * 150 + 150
    backbone = sum(parameter.numel() for parameter in model.encoder.parameters())
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == golden == backbone + head
    assert counted // 500_000 in (2 * millions - 1, 2 * millions)


def test_equals_the_plain_head():
    """All levels enlarged to the finest, joined and convolved, with the same weights."""
    model: Any = small_model("upernet").eval()
    batch = noise_batch((64, 96))
    with torch.no_grad():
        pixels = model.normalize(batch.pixels)
        *finer, last = model.encoder(pixels)[1:]
        levels = model.fpn(finer, model.pyramid(last))
        size = tuple(levels[0].shape[2:])
        joined = [levels[0], *(F.interpolate(x, size, mode="bilinear") for x in levels[1:])]
        fused = F.conv2d(torch.cat(joined, dim=1), model.fuse.weight, padding=1)
        plain = model.classifier(model.norm(fused).relu())
        plain = F.interpolate(plain, (64, 96), mode="bilinear")
        torch.testing.assert_close(model(batch).logits, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "strides"),
    [
        ({"encoder": "resnet18"}, (4, 8, 16, 32)),
        ({"encoder": "resnet18", "output_stride": 8}, (4, 8, 8, 8)),
        ({"encoder": "convnext_atto"}, (4, 8, 16, 32)),
        ({"encoder": "mit_b0"}, (4, 8, 16, 32)),
        ({"encoder": "vit_tiny_patch16_224"}, (16, 16, 16)),
        ({"encoder": "plain4"}, (4, 8, 16)),
    ],
)
def test_any_encoder_will_do(options: dict[str, object], strides: tuple[int, ...]):
    model: Any = build_model("upernet", TAXONOMY, {**options, "channels": 8}).eval()
    assert model.strides == strides
    with torch.no_grad():
        assert model(noise_batch((37, 50))).logits.shape == (1, 3, 37, 50)


def test_the_auxiliary_head_is_asked_for_and_works_in_training_only():
    model: Any = small_model("upernet")
    batch = noise_batch((64, 64))
    assert [tuple(one.shape) for one in model.train()(batch).auxiliary] == [(1, 3, 64, 64)]
    assert model.eval()(batch).auxiliary == ()
    plain: Any = build_model("upernet", TAXONOMY, {"encoder": "resnet18", "channels": 8})
    assert plain.auxiliary_head is None
