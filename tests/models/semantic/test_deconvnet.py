from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segscape.models.semantic.deconvnet import DeconvNet, build_deconvnet
from segscape.structures import CheckpointError, Taxonomy

VOC = Taxonomy.from_names([f"class {index}" for index in range(21)])


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
    with pytest.raises(CheckpointError, match=r"8 channels in fc6, the network 9: leave out"):
        build_deconvnet(VOC, hidden_channels=9, weights=tmp_path / "vgg16_bn.pth")
    with pytest.raises(CheckpointError, match="64 channels, the network with 4: leave out"):
        build_deconvnet(VOC, channels=4, weights=tmp_path / "vgg16_bn.pth")
    public["classifier.3.weight"] = torch.randn(8, 7)
    torch.save(public, tmp_path / "vgg16_bn.pth")
    with pytest.raises(CheckpointError, match=r"DeconvNet: 1 have .*fc7\.layer\.weight \(8, 7,"):
        build_deconvnet(VOC, hidden_channels=8, weights=tmp_path / "vgg16_bn.pth")
    del public["classifier.3.bias"]
    torch.save(public, tmp_path / "vgg16_bn.pth")
    with pytest.raises(CheckpointError, match=r"lacks classifier\.3\.bias"):
        build_deconvnet(VOC, hidden_channels=8, weights=tmp_path / "vgg16_bn.pth")
