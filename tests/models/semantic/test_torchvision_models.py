"""torchvision's networks in our hands against torchvision itself."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.support.small_models import TAXONOMY
from tests.support.torchvision_twins import random_twin
from torchvision.models import get_weight

from segscape.models import build_model
from segscape.models.semantic.torchvision_models import PUBLIC, ImageBranch
from segscape.structures import CheckpointError, RecipeError, Taxonomy

VOC = Taxonomy.from_names([f"category {index}" for index in range(21)])
NETWORKS = [
    ("torchvision_fcn", "resnet50", "fcn_resnet50"),
    ("torchvision_deeplab_v3", "resnet50", "deeplabv3_resnet50"),
    ("torchvision_deeplab_v3", "mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"),
]


@pytest.mark.parametrize(("name", "encoder", "twin"), NETWORKS)
def test_equal_logits_from_torchvisions_state_dict(
    name: str, encoder: str, twin: str, tmp_path: Path
):
    theirs: Any = random_twin(twin, auxiliary=True)
    torch.save(theirs.state_dict(), tmp_path / "public.pth")
    options = {"encoder": encoder, "weights": str(tmp_path / "public.pth")}
    ours: Any = build_model(name, VOC, options).eval()
    assert set(ours.state_dict()) == {*theirs.state_dict(), "mean", "std"}
    for size in [(1, 1), (9, 30), (64, 48)]:
        pixels = torch.randn(1, 3, *size)
        with torch.no_grad():
            expected = theirs(pixels)
            found = ours.score(pixels).logits
            auxiliary = F.interpolate(
                ours.aux_classifier(ours.backbone(pixels)[0]), size, mode="bilinear"
            )
        scale = float(expected["out"].abs().max())
        torch.testing.assert_close(found, expected["out"], atol=1e-5 * scale, rtol=0)
        torch.testing.assert_close(auxiliary, expected["aux"], atol=1e-5 * scale, rtol=1e-5)


@pytest.mark.parametrize(("head", "encoder"), list(PUBLIC))
def test_as_many_parameters_as_the_public_weights(head: str, encoder: str):
    with torch.device("meta"):
        model: Any = build_model(f"torchvision_{head}", VOC, {"encoder": encoder})
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == get_weight(PUBLIC[head, encoder]).meta["num_params"]


def test_the_auxiliary_head_speaks_in_training_with_half_the_weight():
    model: Any = build_model("torchvision_fcn", TAXONOMY, {"encoder": "mobilenet_v3_large"})
    pixels = torch.randn(2, 3, 20, 20)
    assert model.auxiliary_weight == 0.5
    assert [logits.shape for logits in model.train().score(pixels).auxiliary] == [(2, 3, 20, 20)]
    assert model.eval().score(pixels).auxiliary == ()


def test_other_categories_keep_their_own_score_layers(tmp_path: Path):
    theirs = random_twin("deeplabv3_mobilenet_v3_large").state_dict()
    torch.save(theirs, tmp_path / "public.pth")
    torch.manual_seed(0)
    options: dict[str, object] = {"encoder": "mobilenet_v3_large"}
    fresh: Any = build_model("torchvision_deeplab_v3", TAXONOMY, options).state_dict()
    torch.manual_seed(0)
    options |= {"weights": str(tmp_path / "public.pth"), "mean": [0.1] * 3}
    begun: Any = build_model("torchvision_deeplab_v3", TAXONOMY, options).state_dict()
    for name, tensor in begun.items():
        # The file has no auxiliary head either.
        own = name.startswith(("classifier.4.", "aux_classifier.", "std"))
        if own:
            assert torch.equal(tensor, fresh[name]), name
        elif name != "mean":
            assert torch.equal(tensor, theirs[name]), name
    assert begun["mean"].flatten().tolist() == pytest.approx([0.1] * 3)


def test_weights_of_another_network_are_refused(tmp_path: Path):
    torch.save(random_twin("lraspp_mobilenet_v3_large").state_dict(), tmp_path / "other.pth")
    options = {"encoder": "mobilenet_v3_large", "weights": str(tmp_path / "other.pth")}
    with pytest.raises(CheckpointError, match="tensors are missing"):
        build_model("torchvision_fcn", VOC, options)


def test_weights_that_do_not_exist_are_not_downloaded():
    options = {"encoder": "mobilenet_v3_large", "weights": "download"}
    with pytest.raises(RecipeError, match="choose encoder resnet50 or resnet101"):
        build_model("torchvision_fcn", VOC, options)


def test_one_image_in_training_is_normalised_by_running_statistics():
    branch = ImageBranch(4, 3)
    branch(torch.randn(2, 4, 5, 5))
    x = torch.randn(1, 4, 5, 6)
    assert torch.equal(branch.train()(x), branch.eval()(x))
