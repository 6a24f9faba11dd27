from typing import Any

import pytest
import torch
from tests.support.small_models import TAXONOMY, noise_batch
from torch import nn

from segscape.models import build_model
from segscape.models.outputs import SemanticTarget
from segscape.structures import LabelMap, RecipeError, Taxonomy

CITYSCAPES = Taxonomy.from_names([f"class {index}" for index in range(19)])


def small(**options: Any) -> Any:
    torch.manual_seed(0)
    return build_model("pspnet", TAXONOMY, {"encoder": "resnet18", "channels": 8, **options})


def test_parameters_by_hand():
    """ResNet-50 with a deep stem of 32, 32, 64: 48.98 million, as MMSegmentation's R-50-D8."""
    with torch.device("cpu"):
        model = build_model("pspnet", CITYSCAPES, {"encoder": "resnet50c"})
    stem = 9 * (3 * 32 + 32 * 32 + 32 * 64) + 2 * (32 + 32)
    encoder = 23_508_032 - 49 * 3 * 64 + stem  # torchvision's without its classifier and stem
    pyramid = 4 * (2048 * 512 + 2 * 512) + 9 * 4096 * 512 + 2 * 512
    heads = 512 * 19 + 19 + 9 * 1024 * 256 + 2 * 256 + 256 * 19 + 19
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == encoder + pyramid + heads == 48_975_494


def test_the_default_is_the_published_stem_and_stride():
    model: Any = build_model("pspnet", TAXONOMY, {"channels": 8})
    backbone = model.encoder.backbone
    stem = [layer for layer in backbone["conv1"].modules() if isinstance(layer, nn.Conv2d)]
    assert [(layer.out_channels, layer.kernel_size) for layer in stem] == [
        (64, (3, 3)),
        (64, (3, 3)),
        (128, (3, 3)),
    ]
    assert model.encoder.strides == (2, 4, 8, 8, 8)
    assert model.strides == (8,)
    dilations = {
        name: {conv.dilation for conv in backbone[name].modules() if isinstance(conv, nn.Conv2d)}
        for name in ("layer3", "layer4")
    }
    assert (2, 2) in dilations["layer3"]
    assert (4, 4) in dilations["layer4"]
    assert model.pyramid.levels[0].conv.out_channels == 512


def test_the_auxiliary_head_works_in_training_only():
    model = small()
    batch = noise_batch((24, 40), (24, 40))
    training = model.train()(batch)
    assert [tuple(one.shape) for one in training.auxiliary] == [(2, 3, 24, 40)]
    assert model.eval()(batch).auxiliary == ()
    assert small(auxiliary=False).train()(batch).auxiliary == ()


def test_the_auxiliary_loss_weighs_four_tenths():
    model = small(dropout=0.0).train()
    batch = noise_batch((24, 40), (24, 40))
    labels = LabelMap(torch.randint(0, 3, (24, 40), dtype=torch.uint8), TAXONOMY)
    target = SemanticTarget.stack([labels, labels])
    outputs = model(batch)
    plain = nn.functional.cross_entropy(outputs.auxiliary[0], target.labels)
    terms = model.losses(outputs, target)
    torch.testing.assert_close(terms["auxiliary_cross_entropy"], 0.4 * plain)


def test_an_encoder_that_cannot_be_dilated_is_told():
    with pytest.raises(RecipeError, match="output_stride=32 where the model takes it"):
        small(encoder="mit_b0")
    assert small(encoder="mit_b0", output_stride=32).strides == (32,)
