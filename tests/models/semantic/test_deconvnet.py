from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic.deconvnet import (
    DeconvNet,
    build_deconvnet,
    combine_with_fcn,
    predict_by_proposals,
    score_by_proposals,
)
from segscape.models.semantic_model import SemanticModel
from segscape.structures import CheckpointError, StructureError, Taxonomy

VOC = Taxonomy.from_names([f"class {index}" for index in range(21)])
THREE = Taxonomy.from_names(["background", "bright", "dark"])


def small(taxonomy: Taxonomy = VOC) -> Any:
    torch.manual_seed(0)
    model = DeconvNet(taxonomy, channels=2, hidden_channels=8)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name, tensor in module.state_dict().items():
                if name == "running_var":
                    nn.init.uniform_(tensor, 0.5, 2)
                elif tensor.is_floating_point():
                    nn.init.normal_(tensor)
        elif isinstance(module, nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight)
    return model.eval()


def test_parameters_are_those_of_the_research_notes():
    """252 million in the paper; without the scales and shifts of batch normalisation."""
    with torch.device("meta"):
        model = DeconvNet(VOC)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    total = sum(one.numel() for one in model.parameters())
    assert total - sum(one.numel() for norm in norms for one in norm.parameters()) == 251_772_245
    # 13 + fc6, fc7, fc6-deconv + 13 of the mirror.
    assert len(norms) == 29
    outs = [m.out_channels for m in model.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert outs == [512, 512, 512, 512, 512, 512, 256, 256, 256, 128, 128, 64, 64, 64]
    assert len(model.score_fr.weight) == 21


def test_sides_at_224_are_those_of_the_paper():
    model = small()
    seen: list[tuple[int, ...]] = []

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        seen.append(tuple(output.shape[2:]))

    for module in (model.fc6, model.fc7, model.fc6_deconv, *model.decoder):
        module.register_forward_hook(note)
    with torch.no_grad():
        assert model.score(torch.zeros(1, 3, 224, 224)).logits.shape == (1, 21, 224, 224)
    assert seen == [(side, side) for side in (1, 1, 7, 14, 28, 56, 112, 224)]


def by_torchs_unpooling(model: Any, pixels: Tensor) -> Tensor:
    """The network of functions alone, with indices of eight bytes."""
    x = pixels
    found: list[tuple[Tensor, list[int]]] = []
    features = list(model.encoder.features)
    for count in (2, 2, 3, 3, 3):
        for _ in range(count):
            x, features = features[1](features[0](x)).clamp(min=0), features[3:]
        side = list(x.shape[2:])
        pooled: Any = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
        x, features = pooled[0], features[1:]
        found.append((pooled[1], side))
    for module in (model.fc6, model.fc7, model.fc6_deconv):
        x = module.norm(module.layer(x)).clamp(min=0)
    for block in model.decoder:
        index, side = found.pop()
        x = F.max_unpool2d(x, index, [2, 2], output_size=side)
        for one in block:
            # A deconvolution of 3 x 3 is a convolution with its kernel turned and transposed.
            kernel = one.layer.weight.flip(2, 3).transpose(0, 1)
            x = one.norm(F.conv2d(x, kernel, one.layer.bias, padding=1)).clamp(min=0)
    return model.score_fr(x)


@pytest.mark.parametrize("size", [(224, 224), (225, 300)])
def test_logits_are_those_of_torchs_index_unpooling(size: tuple[int, int]):
    model = small()
    pixels = torch.randn(2, 3, *size)
    with torch.no_grad():
        logits = model.score(pixels).logits
        torch.testing.assert_close(logits, by_torchs_unpooling(model, pixels), atol=1e-4, rtol=1e-4)


def test_smaller_images_are_continued_by_their_border():
    model = small()
    pixels = torch.randn(1, 3, 100, 150)
    continued = F.pad(pixels, (0, 74, 0, 124), mode="replicate")
    with torch.no_grad():
        whole = model.score(continued).logits
        assert torch.equal(model.score(pixels).logits, whole[:, :, :100, :150])


def test_one_image_of_224_can_be_trained_on():
    """Its fc6 has one value per channel, of which no variance can be taken."""
    model = small().train()
    before = model.fc6.norm.running_mean.clone()
    model.score(torch.randn(1, 3, 224, 224)).logits.sum().backward()
    assert model.fc6.layer.weight.grad.any()
    assert torch.equal(model.fc6.norm.running_mean, before)
    model.score(torch.randn(2, 3, 224, 224))
    assert not torch.equal(model.fc6.norm.running_mean, before)


def test_public_weights_with_their_classifier(tmp_path: Path):
    model = DeconvNet(VOC, hidden_channels=8)
    public = dict(model.encoder.state_dict())
    for name in public:
        public[name] = torch.randn(public[name].shape).to(public[name].dtype)
    public["classifier.0.weight"] = torch.randn(8, 512 * 49)
    public["classifier.0.bias"] = torch.randn(8)
    public["classifier.3.weight"] = torch.randn(8, 8)
    public["classifier.3.bias"] = torch.randn(8)
    torch.save(public, tmp_path / "vgg16_bn.pth")
    loaded: Any = build_deconvnet(VOC, hidden_channels=8, weights=tmp_path / "vgg16_bn.pth")
    assert torch.equal(loaded.encoder.features[0].weight, public["features.0.weight"])
    assert torch.equal(loaded.fc6.layer.weight.flatten(1), public["classifier.0.weight"])
    assert torch.equal(loaded.fc7.layer.bias, public["classifier.3.bias"])
    del public["classifier.3.bias"]
    torch.save(public, tmp_path / "vgg16_bn.pth")
    with pytest.raises(CheckpointError, match=r"lacks classifier\.3\.bias"):
        build_deconvnet(VOC, hidden_channels=8, weights=tmp_path / "vgg16_bn.pth")


class Brightness(SemanticModel):
    """Scores that are known: of "bright" the pixel's value, of "dark" one half less it."""

    def __init__(self) -> None:
        super().__init__(THREE, in_channels=1, mean=[0.0], std=[1.0])
        self.sizes: list[tuple[int, ...]] = []

    def score(self, pixels: Tensor) -> SemanticOutputs:
        self.sizes.append(tuple(pixels.shape))
        return SemanticOutputs(torch.cat([-pixels, pixels, 0.5 - pixels], 1))


def test_the_highest_score_of_all_proposals_stands():
    """Equation 1, on boxes of the network's own size, so that nothing is resized."""
    image = torch.randint(0, 256, (1, 20, 30), dtype=torch.uint8)
    boxes = torch.tensor([[2.0, 1, 10, 9], [6, 5, 14, 13], [-3, 10, 5, 18]])
    scores = score_by_proposals(
        Brightness(), image, boxes, shortest_side_px=8, enlarged=1.0, side_px=8, batch_size=2
    )
    values = image[0].float() / 255
    expected = torch.zeros(3, 20, 30)
    for left, top, right, bottom in boxes.int().tolist():
        window = (slice(top, bottom), slice(max(left, 0), right))
        for category, score in enumerate((-values, values, 0.5 - values)):
            seen = expected[category][window]
            expected[category][window] = seen.maximum(score[window])
    torch.testing.assert_close(scores, expected)


def test_boxes_are_enlarged_and_small_ones_left_out_before_the_best_are_taken():
    model = Brightness()
    image = torch.full((1, 60, 80), 255, dtype=torch.uint8)
    boxes = torch.tensor(
        [
            [0.0, 0, 5, 50],  # 6 x 60 when enlarged: too narrow
            [10, 10, 30, 40],  # 8, 7 to 32, 43
            [40, 20, 60, 40],  # 38, 18 to 62, 42
            [0, 0, 80, 60],  # a third large one is not asked for
        ]
    )
    scores = score_by_proposals(
        model, image, boxes, proposals=2, shortest_side_px=24, side_px=16, batch_size=10
    )
    assert model.sizes == [(2, 1, 16, 16)]
    expected = torch.zeros(60, 80)
    expected[7:43, 8:32] = 1
    expected[18:42, 38:62] = 1
    torch.testing.assert_close(scores[1], expected)
    # Where no proposal is, all scores are 0 and the first category is taken.
    assert not scores[:, :7].any()


def test_beyond_the_image_all_is_black():
    model = Brightness()
    image = torch.full((1, 20, 20), 255, dtype=torch.uint8)
    boxes = torch.tensor([[10.0, 0, 30, 20], [100, 100, 120, 120]])
    scores = score_by_proposals(model, image, boxes, enlarged=1.0, shortest_side_px=20, side_px=20)
    assert not scores[1, :, :10].any()
    assert bool((scores[1, :, 10:] == 1).all())


def test_no_proposals_give_no_scores_and_bad_ones_are_refused():
    image = torch.zeros(1, 20, 20, dtype=torch.uint8)
    assert not score_by_proposals(Brightness(), image, torch.zeros(0, 4)).any()
    with pytest.raises(StructureError, match="no area"):
        score_by_proposals(Brightness(), image, torch.tensor([[5.0, 5, 5, 9]]))


def test_an_image_is_segmented_by_its_own_regions():
    image = torch.zeros(1, 160, 200, dtype=torch.uint8)
    image[:, 20:150, 30:170] = 200
    found = predict_by_proposals(Brightness(), image).labels
    bright = torch.zeros(160, 200, dtype=torch.bool)
    bright[20:150, 30:170] = True
    assert bool((found[bright] == 1).float().mean() > 0.97)
    assert bool((found[~bright] == 1).float().mean() < 0.03)


def test_the_ensemble_by_both_rules():
    torch.manual_seed(0)
    deconvnet, fcn = torch.rand(21, 4, 5) * 8, torch.randn(21, 4, 5) * 4
    mean = combine_with_fcn(deconvnet, fcn)
    torch.testing.assert_close(mean, torch.stack([deconvnet.softmax(0), fcn.softmax(0)]).mean(0))
    product = combine_with_fcn(deconvnet, fcn, rule="product")
    by_hand = (deconvnet * torch.relu(fcn)).exp()
    torch.testing.assert_close(product, by_hand / by_hand.sum(0))
    assert not torch.equal(mean.argmax(0), product.argmax(0))
    torch.testing.assert_close(combine_with_fcn(deconvnet[None], fcn[None])[0], mean)
