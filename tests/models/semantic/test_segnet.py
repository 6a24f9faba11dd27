from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segscape.models import build_model
from segscape.models.semantic.segnet import SegNet, SegNetBasic, normalize_local_contrast
from segscape.structures import RecipeError, Taxonomy

CAMVID = Taxonomy.from_names([f"class {index}" for index in range(11)])


def parameters(model: nn.Module) -> tuple[int, int]:
    """Without and with the scales and shifts of batch normalisation."""
    total = sum(one.numel() for one in model.parameters())
    norms = (module for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    return total - sum(one.numel() for norm in norms for one in norm.parameters()), total


def randomized(model: Any) -> Any:
    """Batch normalisation with statistics of its own, so that a forgotten one is seen."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name, tensor in module.state_dict().items():
                if name == "running_var":
                    nn.init.uniform_(tensor, 0.5, 2)
                elif tensor.is_floating_point():
                    nn.init.normal_(tensor)
    return model.eval()


def torchs_pool(x: Tensor) -> tuple[Tensor, Tensor]:
    found: Any = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    return found


def test_parameters_are_those_of_the_research_notes():
    with torch.device("meta"):
        assert parameters(SegNet(CAMVID)) == (29_433_483, 29_449_355)
        assert parameters(SegNetBasic(CAMVID)) == (1_415_563, 1_416_587)


def test_sides_at_360_by_480_are_those_of_the_release():
    """360 / 16 is 22.5: pool4 has 23 rows, upsample4 gives 45 again."""
    model = SegNet(CAMVID, channels=1).eval()
    x, switches = model.encoder(torch.zeros(1, 3, 360, 480))
    assert [level.size for level in switches] == [
        (360, 480),
        (180, 240),
        (90, 120),
        (45, 60),
        (23, 30),
    ]
    assert x.shape[2:] == (12, 15)
    assert model.score(torch.zeros(1, 3, 360, 480)).logits.shape == (1, 11, 360, 480)


def test_decoder_mirrors_the_encoder():
    with torch.device("meta"):
        model = SegNet(CAMVID)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    outs = [module.out_channels for module in convolutions]
    down = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    assert outs == [*down, *([512] * 5), 256, 256, 256, 128, 128, 64, 64, 11]
    assert sum(isinstance(module, nn.ReLU) for module in model.modules()) == 25


@pytest.mark.parametrize("size", [(64, 96), (45, 61), (1, 3)])
def test_logits_are_those_of_torchs_index_unpooling(size: tuple[int, int]):
    """Functions alone, in the paper's order, on the model's weights."""
    torch.manual_seed(0)
    model = randomized(SegNet(CAMVID, channels=4))
    pixels = torch.randn(2, 3, *size)
    with torch.no_grad():
        x = pixels
        indices: list[Tensor] = []
        sizes: list[list[int]] = []
        features = list(model.encoder.features)
        for count in (2, 2, 3, 3, 3):
            for _ in range(count):
                convolution, norm, _ = features[:3]
                x, features = norm(convolution(x)).clamp(min=0), features[3:]
            sizes.append(list(x.shape[2:]))
            x, index = torchs_pool(x)
            features = features[1:]
            indices.append(index)
        for block in model.decoder:
            x = F.max_unpool2d(x, indices.pop(), [2, 2], output_size=sizes.pop())
            for convolution, norm in zip(block[0::3], block[1::3], strict=True):
                x = norm(convolution(x)).clamp(min=0)
        expected = model.classifier(x)
        torch.testing.assert_close(model.score(pixels).logits, expected)


@pytest.mark.parametrize("size", [(32, 48), (45, 61)])
def test_basic_logits_are_those_of_torchs_index_unpooling_without_relu(size: tuple[int, int]):
    torch.manual_seed(0)
    model = randomized(SegNetBasic(CAMVID, channels=4))
    pixels = 255 * torch.rand(2, 3, *size)
    with torch.no_grad():
        # Caffe's formula over channels: local_size 5, alpha 1e-4, beta 0.75.
        squares = F.pad(pixels.square(), (0, 0, 0, 0, 2, 2))
        sums = torch.stack([squares[:, channel : channel + 5].sum(1) for channel in range(3)], 1)
        x = pixels / (1 + 1e-4 / 5 * sums) ** 0.75
        found: list[tuple[Tensor, list[int]]] = []
        for block in model.encoder:
            x = block[1](block[0](x)).clamp(min=0)
            side = list(x.shape[2:])
            x, index = torchs_pool(x)
            found.append((index, side))
        for block in model.decoder:
            index, side = found.pop()
            x = block[1](block[0](F.max_unpool2d(x, index, [2, 2], output_size=side)))
        torch.testing.assert_close(model.score(pixels).logits, model.classifier(x))
    assert [block[0].kernel_size for block in model.decoder] == [(7, 7)] * 4


def test_local_response_normalisation_reads_0_to_255():
    released = SegNetBasic(CAMVID, channels=4)
    torch.testing.assert_close(
        released.normalize(torch.ones(1, 3, 2, 2)), torch.full((1, 3, 2, 2), 255.0)
    )
    plain = SegNetBasic(CAMVID, channels=4, normalization="none")
    assert float(plain.std[0]) == pytest.approx(0.229)
    given = SegNetBasic(CAMVID, channels=4, mean=[0.5] * 3, std=[1.0] * 3)
    assert float(given.mean[1]) == 0.5


def test_local_contrast_forgets_brightness_and_contrast():
    torch.manual_seed(0)
    pixels = torch.rand(2, 3, 30, 40)
    normalized = normalize_local_contrast(pixels)
    torch.testing.assert_close(
        normalize_local_contrast(5 * pixels - 2), normalized, atol=1e-4, rtol=1e-4
    )
    # By the dense window over all channels at once.
    line = torch.exp(-(torch.arange(-4.0, 5.0) ** 2) / (2 * 2.25**2))
    window = (line[:, None] * line / (line[:, None] * line).sum() / 3).expand(1, 3, 9, 9)

    def around(x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (4, 4, 4, 4), mode="replicate"), window)

    centered = pixels - around(pixels)
    deviation = around(centered**2) ** 0.5
    floor = torch.stack([one.mean() for one in deviation]).reshape(2, 1, 1, 1)
    torch.testing.assert_close(normalized, centered / torch.maximum(deviation, floor))


def test_stored_switches_are_a_sixteenth_of_the_stored_maps():
    """Bytes of tensors: what SegNet hands its decoder against the pooled maps in float32."""
    model = SegNet(CAMVID, channels=8).eval()
    pooled: list[Tensor] = []
    kept: list[Tensor] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        pooled.append(output[0])
        kept.append(output[1].packed)

    for module in model.encoder.features:
        if type(module).__name__ == "PoolWithSwitches":
            module.register_forward_hook(note)
    with torch.no_grad():
        model.score(torch.randn(1, 3, 90, 120))
    maps, switches = (sum(one.nbytes for one in tensors) for tensors in (pooled, kept))
    assert len(pooled) == 5
    assert all(one.dtype == torch.float32 for one in pooled)
    assert switches * 16 <= maps


def test_training_keeps_no_indices_but_packed_ones():
    model = SegNet(CAMVID, channels=8).train()
    whole: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            whole[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model.score(torch.randn(2, 3, 64, 64)).logits.sum().backward()
    windows = sum(2 * 8 * m * (32 >> n) ** 2 for n, m in enumerate((1, 2, 4, 8, 8)))
    assert sum(one.nbytes for one in whole.values()) == windows // 4


def test_bilinear_upsampling_uses_no_switches():
    torch.manual_seed(0)
    model = SegNet(CAMVID, channels=4, upsampling="bilinear").eval()
    smooth = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    assert model.score(smooth).logits.isfinite().all()
    basic = SegNetBasic(CAMVID, channels=4, upsampling="bilinear").eval()
    other = SegNetBasic(CAMVID, channels=4).eval()
    other.load_state_dict(basic.state_dict())
    with torch.no_grad():
        one, two = (m.score(torch.randn(1, 3, 21, 33)).logits for m in (basic, other))
    assert one.shape == two.shape
    assert not torch.equal(one, two)


def test_dropout_is_for_training():
    for model in (SegNet(CAMVID, channels=4, dropout=0.5), SegNetBasic(CAMVID, dropout=0.5)):
        pixels = torch.randn(1, 3, 40, 40)
        with torch.no_grad():
            assert not torch.equal(model.score(pixels).logits, model.score(pixels).logits)
            model.eval()
            assert torch.equal(model.score(pixels).logits, model.score(pixels).logits)


def test_public_weights_are_the_encoders(tmp_path):
    public = SegNet(CAMVID, channels=8).encoder.state_dict()
    torch.save({**public, "classifier.0.weight": torch.zeros(1)}, tmp_path / "vgg16_bn.pth")
    options = {"channels": 8, "weights": str(tmp_path / "vgg16_bn.pth")}
    model: Any = build_model("segnet", CAMVID, options)
    assert all(torch.equal(one, public[name]) for name, one in model.encoder.state_dict().items())


def test_unknown_options_are_refused():
    with pytest.raises(RecipeError, match="normalization"):
        build_model("segnet_basic", CAMVID, {"normalization": "batch"})
