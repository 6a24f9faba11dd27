from typing import Any

import torch
from torch import nn
from torchvision.models import vgg16

from segscape.models import build_model
from segscape.structures import ImageBatch, Taxonomy

VOC = Taxonomy.from_names([f"class {index}" for index in range(21)])


def small(**options: Any) -> Any:
    torch.manual_seed(0)
    return build_model("deeplab_largefov", VOC, {"hidden_channels": 8} | options).eval()


def test_parameters_are_the_published_ones():
    with torch.device("meta"):
        definition = vgg16().features
    model = build_model("deeplab_largefov", VOC, {})
    counted = sum(parameter.numel() for parameter in model.parameters())
    by_hand = sum(parameter.numel() for parameter in definition.parameters())
    by_hand += 9 * 512 * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 * 21 + 21
    assert counted == by_hand == 20_505_429  # "20.5 M", table 1


def test_321_pixels_give_41_scores_that_lie_over_every_eighth():
    model = small()
    nn.init.normal_(model.classifier.fc8.weight)
    pixels = torch.randn(1, 3, 321, 9)
    with torch.no_grad():
        scores = model.classifier(model.trunk(pixels)[-1])
        logits = model.score(pixels).logits
    assert scores.shape == (1, 21, 41, 2)
    assert logits.shape == (1, 21, 321, 9)
    torch.testing.assert_close(logits[:, :, ::8, ::8], scores)
    torch.testing.assert_close(
        logits[:, :, 4::8, 0], (scores[:, :, 1:, 0] + scores[:, :, :-1, 0]) / 2
    )


def test_fc6_sees_as_far_as_table_1_says():
    """A field of view of 224 pixels: 3 taps, 12 points of 8 pixels apart, around VGG16's own."""
    model = small()
    conv6: nn.Conv2d = model.classifier.fc6
    assert (conv6.kernel_size, conv6.dilation, conv6.padding) == ((3, 3), (12, 12), (12, 12))
    features = torch.randn(1, 512, 30, 30, requires_grad=True)
    conv6(features)[0, :, 15, 15].sum().backward()
    reached = features.grad[0].abs().sum(0).nonzero()  # pyright: ignore[reportOptionalSubscript]
    assert sorted({int(row) for row, _ in reached}) == [3, 15, 27]


def test_public_weights_fill_the_trunk(tmp_path):
    torch.manual_seed(1)
    with torch.device("meta"):
        definition = vgg16().features
    tensors = {
        f"features.{name}": torch.randn(one.shape) for name, one in definition.state_dict().items()
    }
    torch.save(tensors, tmp_path / "vgg16.pth")
    model = small(weights=str(tmp_path / "vgg16.pth"))
    state = model.trunk.state_dict()
    assert list(state) == list(tensors)
    assert all(torch.equal(state[name], one) for name, one in tensors.items())


def test_other_channels():
    model = small(in_channels=5)
    images = ImageBatch.stack([torch.zeros(5, 10, 12, dtype=torch.uint8)])
    assert model(images).logits.shape == (1, 21, 10, 12)
