from pathlib import Path
from typing import Any

import pytest
from tests.support.small_models import TAXONOMY

from segscape.models import MODELS, build_model, model_options
from segscape.structures import CheckpointError, RecipeError


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unett", {}, "did you mean 'unet'"),
        ("deeplabv9000", {}, "did you mean .deeplab_v3.. choose one of sliding_window"),
        ("unet", {"encodr": "resnet18"}, "did you mean 'encoder'"),
        ("unet", {"encoder": "resnet1"}, "did you mean .*resnet"),
        ("unet", {"encoder": 3}, "'encoder': got 3"),
        ("unet", {"in_channels": 0}, "'in_channels': got 0"),
        ("unet", {"output_stride": 7}, "'output_stride': got 7, expected 8, 16 or 32"),
        ("unet_2015", {"dropout": 1.0}, "'dropout': got 1.0"),
        ("fcn8s", {"upsampling": "melted"}, "'upsampling': got 'melted'"),
        ("fcn32s", {"taxonomy": 3}, "no option 'taxonomy'"),
    ],
)
def test_wrong_options_are_one_line_with_a_cure(name: str, options: dict, message: str):
    with pytest.raises(RecipeError, match=message) as caught:
        build_model(name, TAXONOMY, options)
    assert "\n" not in str(caught.value)


def test_options_from_text_get_their_types():
    model: Any = build_model(
        "unet_2015", TAXONOMY, {"channels": "2", "mean": [0, 0, 1], "in_channels": 3}
    )
    assert model.up[3].out_channels == 2
    assert model.mean.flatten().tolist() == [0, 0, 1]
    assert model.architecture.options == {"channels": 2, "mean": [0, 0, 1], "in_channels": 3}


def test_a_missing_weights_file_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"nowhere\.pth does not exist"):
        build_model("unet", TAXONOMY, {"weights": str(tmp_path / "nowhere.pth")})


def test_every_entry_names_its_paper_and_documents_its_builder():
    for name, entry in MODELS.items():
        assert entry.task == "semantic"
        assert "arXiv:" in entry.paper
        assert entry.build.__doc__
        assert "in_channels" in model_options(name)
