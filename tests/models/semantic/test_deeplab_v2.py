from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.support.small_models import TAXONOMY, noise_batch
from torch import nn

from segscape.models import build_model
from segscape.models.outputs import SemanticTarget
from segscape.structures import LabelMap, RecipeError, Taxonomy

VOC = Taxonomy.from_names([f"class {index}" for index in range(21)])


def small(**options: Any) -> Any:
    torch.manual_seed(0)
    given = {"encoder": "resnet18", "rates": [1, 2]} | options
    if given["encoder"] == "vgg16":
        given["hidden_channels"] = 8
    model: Any = build_model("deeplab_v2", TAXONOMY, given)
    for module in model.branches.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.05)
    return model.eval()


def test_parameters_are_the_published_ones():
    model: Any = build_model("deeplab_v2", VOC, {"encoder": "vgg16"})
    assert sum(parameter.numel() for parameter in model.parameters()) == 37_877_652
    rates = [branch.fc6.dilation[0] for branch in model.branches]
    assert rates == [6, 12, 18, 24]


def test_one_branch_of_rate_12_on_vgg16_is_the_first_deeplab():
    options = {"hidden_channels": 8, "dropout": 0.0}
    torch.manual_seed(0)
    first: Any = build_model("deeplab_largefov", VOC, options).eval()
    second: Any = build_model("deeplab_v2", VOC, options | {"encoder": "vgg16", "rates": [12]})
    tensors = {
        name.replace("classifier.", "branches.0."): one for name, one in first.state_dict().items()
    }
    second.load_state_dict(tensors)
    pixels = torch.randn(1, 3, 45, 30)
    with torch.no_grad():
        assert torch.equal(first.score(pixels).logits, second.eval().score(pixels).logits)


def test_branches_of_a_residual_network_are_summed_at_stride_8():
    model = small(rates=[6, 12, 18, 24])
    assert model.trunk.strides[-1] == 8
    pixels = torch.randn(1, 3, 48, 64)
    with torch.no_grad():
        features = model.trunk(pixels)[-1]
        branches = [
            F.conv2d(features, one.weight, one.bias, padding=rate, dilation=rate)
            for one, rate in zip(model.branches, (6, 12, 18, 24), strict=True)
        ]
        scores = torch.stack(branches).sum(0)
        expected = F.interpolate(scores, (48, 64), mode="bilinear", align_corners=False)
        torch.testing.assert_close(model.score(pixels).logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("encoder", ["resnet18", "vgg16"])
def test_scales_are_fused_by_their_maximum(encoder: str):
    model = small(encoder=encoder, multi_scale=True).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    for branch in model.branches:
        branch.dropout = 0.0
    # One colour: away from the border, an image shrunk or not gives the same scores.
    pixels = torch.randn(1, 3, 1, 1).expand(-1, -1, 480, 480)
    with torch.no_grad():
        outputs = model.score(pixels)
    assert len(outputs.auxiliary) == 3
    middle = [one[0, :, 240, 240] for one in outputs.auxiliary]
    torch.testing.assert_close(middle[1], middle[0], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(middle[2], middle[0], atol=1e-3, rtol=1e-3)
    # Where the scores stand no value is interpolated, and the maximum is that of the parts.
    with torch.no_grad():
        noise = model.score(torch.randn(1, 3, 32, 48))
    if encoder == "vgg16":
        highest = torch.stack(noise.auxiliary).amax(0)
        torch.testing.assert_close(noise.logits[:, :, ::8, ::8], highest[:, :, ::8, ::8])


def test_each_scale_and_the_maximum_are_trained_alike():
    model = small(multi_scale=True).train()
    batch = noise_batch((20, 30))
    labels = LabelMap(torch.randint(0, 3, (20, 30), dtype=torch.uint8), TAXONOMY)
    target = SemanticTarget.stack([labels])
    outputs = model(batch)
    losses = model.losses(outputs, target)
    parts = [F.cross_entropy(one, target.labels) for one in (outputs.logits, *outputs.auxiliary)]
    assert len(parts) == 4
    torch.testing.assert_close(sum(losses.values()), sum(parts))
    assert model.eval()(batch).auxiliary == ()


def test_transformers_are_refused():
    with pytest.raises(RecipeError, match="cannot give output_stride 8"):
        build_model("deeplab_v2", TAXONOMY, {"encoder": "swin_tiny_patch4_window7_224"})


@pytest.mark.parametrize("option", [{"hidden_channels": 7}, {"dropout": 0.1}])
def test_options_of_vgg16_are_refused_elsewhere(option):
    with pytest.raises(RecipeError, match="is for encoder=vgg16"):
        build_model("deeplab_v2", TAXONOMY, {"encoder": "resnet18"} | option)
