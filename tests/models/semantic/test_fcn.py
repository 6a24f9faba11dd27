from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segscape.models import build_model
from segscape.models.model_files import save_model
from segscape.models.semantic.fcn import CROP_LOGITS, CROP_LOGITS_ALEXNET, FCN, FCNAlexNet
from segscape.structures import CheckpointError, RecipeError, Taxonomy

VOC = Taxonomy.from_names([f"class {index}" for index in range(21)])
VGG16_SIDES = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
VGG16_CONVOLUTIONS = list(pairwise(VGG16_SIDES))


def small(stride: Any, *, upsampling: Any = "frozen", at_once: bool = False) -> Any:
    torch.manual_seed(0)
    return FCN(VOC, stride=stride, hidden_channels=8, upsampling=upsampling, at_once=at_once).eval()


@pytest.mark.parametrize(
    ("stride", "golden"), [(32, 134_346_581), (16, 134_357_354), (8, 134_362_751)]
)
def test_parameters_are_the_published_ones(stride: Any, golden: int):
    with torch.device("meta"):
        model = FCN(VOC, stride=stride)
    counted = sum(parameter.numel() for parameter in model.parameters())
    by_hand = sum(9 * before * after + after for before, after in VGG16_CONVOLUTIONS)
    by_hand += 7 * 7 * 512 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 21 + 21
    by_hand += (512 * 21 + 21) * (stride <= 16) + (256 * 21 + 21) * (stride == 8)
    assert counted == golden == by_hand


def test_sides_at_500_pixels_are_caffes():
    """Pools 349, 175, 88, 44, 22 and fc6 16, worked out in research notes from Caffe's rules."""
    model = small(8)
    seen: dict[str, int] = {}

    def note(name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        seen[name] = output.shape[2]

    for name in ("classifier.fc6", "upscore2", "upscore_pool4", "upscore"):
        model.get_submodule(name).register_forward_hook(partial(note, name))
    with torch.no_grad():
        narrow = torch.zeros(1, 3, 500, 1)
        pools = [one.shape[2] for one in model.trunk(narrow)]
        assert model.score(narrow).logits.shape == (1, 21, 500, 1)
    assert pools == [349, 175, 88, 44, 22]
    assert seen == {"classifier.fc6": 16, "upscore2": 34, "upscore_pool4": 70, "upscore": 568}


def coordinate_offset(stride: int) -> tuple[float, float]:
    """Caffe's coordinate arithmetic: (scale, offset) of the last upsampling, in input pixels.

    A layer of kernel k, stride s, padding p maps its output i to its input's
    i s + (k - 1) / 2 - p; a transposed one inverts that.
    """
    scale, offset = 1.0, 0.0

    def layer(kernel: int, step: int, padding: int) -> None:
        nonlocal scale, offset
        offset += scale * ((kernel - 1) / 2 - padding)
        scale *= step

    first = 100
    for convolutions in (2, 2, 3, 3, 3):
        for _ in range(convolutions):
            layer(3, 1, first)
            first = 1
        layer(2, 2, 0)
    layer(7, 1, 0)
    for step in {32: [32], 16: [2, 16], 8: [2, 2, 8]}[stride]:
        scale /= step
        offset -= scale * (2 * step - 1) / 2
    return scale, offset


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_final_crop_offsets_follow_from_the_geometry(stride: int):
    scale, offset = coordinate_offset(stride)
    assert scale == 1
    # Input pixel 0 lies at the place x of the upsampled scores with x + offset = 0.
    assert -offset == CROP_LOGITS[stride] == {32: 19, 16: 27, 8: 31}[stride]


def public_vgg16(hidden: int) -> dict[str, Tensor]:
    """A file like torchvision's, with fewer fully connected channels."""
    generator = torch.Generator().manual_seed(1)
    with torch.device("meta"):
        from torchvision.models import vgg16

        shapes = {name: value.shape for name, value in vgg16().features.state_dict().items()}
    tensors = {
        f"features.{name}": torch.randn(shape, generator=generator) * 0.05
        for name, shape in shapes.items()
    }
    tensors["classifier.0.weight"] = torch.randn(hidden, 512 * 49, generator=generator)
    tensors["classifier.0.bias"] = torch.randn(hidden, generator=generator)
    tensors["classifier.3.weight"] = torch.randn(hidden, hidden, generator=generator)
    tensors["classifier.3.bias"] = torch.randn(hidden, generator=generator)
    tensors["classifier.6.weight"] = torch.randn(1000, hidden, generator=generator)
    tensors["classifier.6.bias"] = torch.randn(1000, generator=generator)
    return tensors


def test_public_weights_become_convolutions():
    tensors = public_vgg16(8)
    model = small(32)
    model.load_public_vgg16(tensors, source="a file")
    x = torch.randn(2, 512, 7, 7)
    flat = F.relu(
        F.linear(x.flatten(1), tensors["classifier.0.weight"], tensors["classifier.0.bias"])
    )
    flat = F.relu(F.linear(flat, tensors["classifier.3.weight"], tensors["classifier.3.bias"]))
    with torch.no_grad():
        torch.testing.assert_close(model.classifier(x)[:, :, 0, 0], flat, rtol=1e-3, atol=1e-2)
    assert torch.equal(model.trunk.features[28].weight, tensors["features.28.weight"])


def test_weights_without_a_classifier_are_refused():
    tensors = {name: one for name, one in public_vgg16(8).items() if "classifier" not in name}
    with pytest.raises(CheckpointError, match=r"lacks classifier\.0\.weight"):
        small(32).load_public_vgg16(tensors, source="a file")


def test_a_stage_begins_as_the_coarser_network_predicted():
    """Zero scores of the new skip: 32s and 16s differ only by interpolating in two steps."""
    pixels = torch.randn(1, 3, 64, 64)
    coarse = small(32)
    nn.init.normal_(coarse.score_fr.weight)
    for stride in (16, 8):
        fine = small(stride)
        fine.upgrade(coarse.state_dict())
        assert torch.equal(fine.score_fr.weight, coarse.score_fr.weight)
        with torch.no_grad():
            ours, theirs = fine.score(pixels).logits, coarse.score(pixels).logits
        together = torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))
        assert together[0, 1] > 0.98
        coarse = fine


@pytest.mark.parametrize("inside", ["", "model"])
def test_a_stage_is_named_by_the_run_or_its_model_folder(tmp_path, inside: str):
    coarse = build_model("fcn32s", VOC, {"hidden_channels": 8})
    scores = coarse.get_parameter("score_fr.weight")
    nn.init.normal_(scores)
    save_model(tmp_path / "model", coarse)
    options = {"hidden_channels": 8, "coarser": str(tmp_path / inside)}
    fine = build_model("fcn16s", VOC, options)
    assert torch.equal(fine.get_parameter("score_fr.weight"), scores)
    with pytest.raises(CheckpointError, match="holds no weights: give the path"):
        build_model("fcn16s", VOC, options | {"coarser": str(tmp_path.parent)})


def test_a_stage_keeps_learned_kernels():
    coarse = small(16, upsampling="learned")
    coarse.upscore2.kernel.data += 0.1
    fine = small(8, upsampling="learned")
    fine.upgrade(coarse.state_dict())
    assert torch.equal(fine.upscore2.kernel, coarse.upscore2.kernel)


@pytest.mark.parametrize(
    ("stride", "coarser", "message"),
    [
        (8, {"stride": 32}, "r: holds an FCN-32s, and an FCN-8s .*: give coarser a run of fcn16s"),
        (16, {"stride": 8}, "r: holds an FCN-8s, and an FCN-16s .*: give coarser a run of fcn32s"),
        (8, {"stride": 16, "upsampling": "frozen"}, "upsampling=frozen, .*set upsampling=frozen"),
    ],
)
def test_another_stage_or_upsampling_is_named(stride, coarser, message):
    with pytest.raises(CheckpointError, match=message):
        small(stride, upsampling="learned").upgrade(small(**coarser).state_dict(), source="r")


def test_learned_kernels_are_not_dropped_in_silence():
    coarse = small(16, upsampling="learned").state_dict()
    with pytest.raises(CheckpointError, match=r"upsampling=learned, .*set upsampling=learned"):
        small(8).upgrade(coarse, source="r")


def test_another_network_is_no_stage():
    with pytest.raises(CheckpointError, match=r"r does not fit FCN: .* are missing"):
        small(8).upgrade({"a": torch.zeros(1)}, source="r")


def test_what_is_learned_is_what_the_option_says():
    names = {name for name, _ in small(8, upsampling="learned").named_parameters()}
    assert {"upscore2.kernel", "upscore_pool4.kernel"} <= names
    assert "upscore.kernel" not in names
    frozen = {name for name, _ in small(8).named_parameters()}
    assert not any("upscore" in name for name in frozen)


def test_scales_of_training_at_once():
    staged, at_once = small(8), small(8, at_once=True)
    for model in (staged, at_once):
        nn.init.ones_(model.score_pool3.weight)
        nn.init.ones_(model.score_pool4.weight)
    pixels = torch.randn(1, 3, 40, 40)
    with torch.no_grad():
        strong, weak = staged.score(pixels).logits, at_once.score(pixels).logits
        assert weak.abs().max() < 0.02 * strong.abs().max()


def test_the_coarsest_stage_has_no_coarser_one(tmp_path):
    save_model(tmp_path / "model", build_model("fcn32s", VOC, {"hidden_channels": 8}))
    with pytest.raises(RecipeError, match="FCN-32s is the first stage"):
        build_model("fcn32s", VOC, {"hidden_channels": 8, "coarser": str(tmp_path)})


def test_the_name_fixes_the_stride():
    with pytest.raises(RecipeError, match="'fcn16s' has no option 'stride'"):
        build_model("fcn16s", VOC, {"stride": 8})
    assert build_model("fcn16s", VOC, {"hidden_channels": 8}).strides == (16, 32)


def test_alexnets_parameters_are_the_papers_57_million():
    with torch.device("meta"):
        model = FCNAlexNet(VOC)
    counted = sum(parameter.numel() for parameter in model.parameters())
    by_hand = 2_334_080 + 36 * 256 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 21 + 21
    assert counted == by_hand == 56_954_261
    assert round(counted / 1e6) == 57


def test_alexnets_crop_follows_from_the_geometry():
    """Layers (kernel, stride, padding) of the released definition, down and up again."""
    scale, offset = 1.0, 0.0
    for kernel, step, padding in (
        *((11, 4, 100), (3, 2, 0), (5, 1, 2), (3, 2, 0)),
        *((3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 0), (6, 1, 0)),
    ):
        offset += scale * ((kernel - 1) / 2 - padding)
        scale *= step
    assert scale == 32
    assert -(offset - (63 - 1) / 2) == CROP_LOGITS_ALEXNET == 18


@pytest.mark.parametrize("side", [1, 37, 224, 500])
def test_alexnets_scores_cover_every_image(side: int):
    model: Any = build_model("fcn_alexnet", VOC, {"hidden_channels": 4}).eval()
    with torch.no_grad():
        assert model.score(torch.zeros(1, 3, side, 1)).logits.shape == (1, 21, side, 1)


def test_public_weights_need_the_variant_they_were_trained_with(tmp_path):
    options = {"weights": str(tmp_path / "alexnet.pth")}
    with pytest.raises(RecipeError, match="set variant=torchvision"):
        build_model("fcn_alexnet", VOC, options)


def test_public_alexnet_weights_load(tmp_path):
    from torchvision.models import alexnet

    torch.manual_seed(0)
    tensors = {f"features.{name}": one for name, one in alexnet().features.state_dict().items()}
    for layer, inputs in (("classifier.1", 256 * 36), ("classifier.4", 8)):
        tensors |= {f"{layer}.weight": torch.randn(8, inputs), f"{layer}.bias": torch.randn(8)}
    torch.save(tensors, tmp_path / "alexnet.pth")
    options = {"hidden_channels": 8, "variant": "torchvision"}
    options |= {"weights": str(tmp_path / "alexnet.pth")}
    model: Any = build_model("fcn_alexnet", VOC, options)
    assert torch.equal(model.trunk.features[10].weight, tensors["features.10.weight"])
    assert torch.equal(model.classifier.fc6.weight.flatten(1), tensors["classifier.1.weight"])


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_an_encoders_scores_are_added_from_coarse_to_fine(stride: Any):
    torch.manual_seed(0)
    model: Any = build_model("fcn_resnet", VOC, {"encoder": "resnet18", "stride": stride}).eval()
    for score in model.scores:
        nn.init.normal_(score.weight, std=0.1)
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = {one.shape[2]: one for one in model.encoder(pixels)}
        x = model.scores[0](maps[2])
        for score, height in zip(model.scores[1:], (4, 8), strict=False):
            x = F.interpolate(x, scale_factor=2, mode="bilinear") + score(maps[height])
        expected = F.interpolate(x, (64, 96), mode="bilinear")
        torch.testing.assert_close(model.score(pixels).logits, expected)
    assert model.strides == tuple(step for step in (8, 16, 32) if step >= stride)
    assert len(model.scores) == len(model.strides)


def test_an_encoder_adds_only_its_scores():
    with torch.device("meta"):
        model: Any = build_model("fcn_resnet", VOC, {"encoder": "resnet50"})
    counted = sum(parameter.numel() for parameter in model.parameters())
    # 25,557,032 of ResNet-50 without its 2048 x 1000 + 1000 of the classifier.
    assert counted == 25_557_032 - 2_049_000 + (2048 + 1024 + 512) * 21 + 3 * 21


def test_an_encoder_without_the_strides_is_refused():
    with pytest.raises(RecipeError, match=r"strides \(1, 2, 4, 8, 16\), scores of stride 8 need"):
        build_model("fcn_resnet", VOC, {"encoder": "plain4"})


def test_at_once_refuses_a_coarser_network(tmp_path):
    with pytest.raises(RecipeError, match="leave out coarser, or set at_once to false"):
        build_model(
            "fcn8s", Taxonomy.from_names(["a", "b"]), {"at_once": True, "coarser": str(tmp_path)}
        )
