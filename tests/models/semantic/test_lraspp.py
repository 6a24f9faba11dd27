"""LR-ASPP against torchvision's."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.small_models import TAXONOMY
from tests.support.torchvision_twins import random_twin
from torchvision.models import get_weight

from segscape.models import build_model
from segscape.models.semantic.lraspp import PUBLIC
from segscape.structures import Taxonomy

VOC = Taxonomy.from_names([f"category {index}" for index in range(21)])


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    network = random_twin("lraspp_mobilenet_v3_large")
    file = tmp_path_factory.mktemp("weights") / "public.pth"
    torch.save(network.state_dict(), file)
    return network, file


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 47), (96, 64)])
def test_equal_logits_from_torchvisions_state_dict(public: tuple[Any, Path], size: tuple[int, int]):
    theirs, file = public
    ours: Any = build_model("lraspp", VOC, {"weights": str(file)}).eval()
    assert set(ours.state_dict()) == {*theirs.state_dict(), "mean", "std"}
    pixels = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected = theirs(pixels)["out"]
        found = ours.score(pixels).logits
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


def test_as_many_parameters_as_the_public_weights():
    model: Any = build_model("lraspp", VOC, {})
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == get_weight(PUBLIC).meta["num_params"] == 3_221_538
    assert model.strides == (8, 16)


def test_other_categories_keep_their_own_score_layers(public: tuple[Any, Path]):
    theirs, file = public
    begun: Any = build_model("lraspp", TAXONOMY, {"weights": str(file)})
    assert begun.classifier.low_classifier.out_channels == len(TAXONOMY)
    assert torch.equal(begun.classifier.cbr[0].weight, theirs.classifier.cbr[0].weight)
