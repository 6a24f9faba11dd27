from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.support.small_models import TAXONOMY
from torchvision.models.segmentation import deeplabv3_resnet50

from segscape.models import build_model
from segscape.structures import RecipeError, Taxonomy

VOC = Taxonomy.from_names([f"class {index}" for index in range(21)])


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    return build_model("deeplab_v3", VOC, options).eval()


def test_equals_torchvision_at_stride_8():
    """Without multi-grid, which torchvision lacks, and with its extra convolution taken out."""
    torch.manual_seed(1)
    theirs: Any = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21).eval()
    ours = build(encoder="resnet50", output_stride=8, multi_grid=None)
    ours.encoder.backbone.load_state_dict(theirs.backbone.state_dict())
    names = list(ours.aspp.state_dict())
    pyramid = theirs.classifier[0].state_dict().values()
    ours.aspp.load_state_dict(dict(zip(names, pyramid, strict=True)))
    ours.classifier.load_state_dict(theirs.classifier[4].state_dict())
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        scores = theirs.classifier[4](theirs.classifier[0](theirs.backbone(pixels)["out"]))
        expected = F.interpolate(scores, (64, 96), mode="bilinear", align_corners=False)
        torch.testing.assert_close(ours.score(pixels).logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("output_stride", "grid", "rates"),
    [(16, [2, 4, 8], [6, 12, 18]), (8, [4, 8, 16], [12, 24, 36])],
)
def test_rates_are_those_of_the_paper(output_stride: int, grid: list[int], rates: list[int]):
    model = build(encoder="resnet50", output_stride=output_stride)
    blocks = model.encoder.backbone.layer4
    assert [block.conv2.dilation[0] for block in blocks] == grid
    assert [branch.conv.dilation[0] for branch in list(model.aspp.branches)[1:4]] == rates
    assert model.strides == (output_stride,)


def test_parameters_by_hand():
    model = build()
    pyramid = 2 * 2048 * 256 + 3 * 9 * 2048 * 256 + 5 * 256 * 256 + 6 * 2 * 256
    trunk = 42_500_160  # torchvision's resnet101 without its classifier
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == trunk + pyramid + 256 * 21 + 21


def test_weights_of_stride_16_predict_at_stride_8():
    coarse = build(encoder="resnet18", multi_grid=[1, 2], channels=8)
    fine = build(encoder="resnet18", multi_grid=[1, 2], channels=8, output_stride=8)
    fine.load_state_dict(coarse.state_dict())
    with torch.no_grad():
        assert fine.score(torch.randn(1, 3, 32, 40)).logits.shape == (1, 21, 32, 40)


def test_multi_grid_that_does_not_fit_is_refused():
    with pytest.raises(RecipeError, match=r"multi_grid \[1, 2, 4\].*found 2 blocks.*or null"):
        build_model("deeplab_v3", TAXONOMY, {"encoder": "resnet18"})


def test_encoders_that_timm_does_not_dilate():
    model = build(encoder="densenet121", multi_grid=None, channels=8)
    with torch.no_grad():
        assert model.score(torch.randn(1, 3, 32, 48)).logits.shape == (1, 21, 32, 48)
