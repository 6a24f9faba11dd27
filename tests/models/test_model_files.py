import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support.small_models import TAXONOMY

from segscape.models import build_model
from segscape.models.model_files import load_model, save_model
from segscape.models.semantic.unet import UNet
from segscape.structures import Category, CheckpointError, Taxonomy

OPTIONS = {"channels": 1, "in_channels": 1, "mean": [0.4], "std": [0.2]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", build_model("unet_2015", TAXONOMY, OPTIONS))
    return tmp_path / "model"


def one_line(excinfo: pytest.ExceptionInfo[CheckpointError]) -> str:
    message = str(excinfo.value)
    assert "\n" not in message
    return message


def test_a_model_folder_holds_weights_and_meaning(folder: Path):
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]
    description = json.loads((folder / "model.json").read_text())
    assert description["name"] == "unet_2015"
    assert description["options"] == OPTIONS
    assert description["mean"] == pytest.approx([0.4])
    assert [one["name"] for one in description["taxonomy"]["categories"]] == list(TAXONOMY.names)


def test_taxonomies_survive(tmp_path: Path):
    taxonomy = Taxonomy(
        (
            Category("straße", (1, 2, 3)),
            Category("car", (4, 5, 6), is_thing=True),
            Category("wheel", (7, 8, 9), is_thing=True, part_of="car"),
        ),
        ignore_id=254,
    )
    save_model(tmp_path / "model", build_model("unet_2015", taxonomy, OPTIONS))
    assert load_model(tmp_path / "model").taxonomy == taxonomy


def test_statistics_learned_later_are_saved(folder: Path):
    model = load_model(folder)
    model.mean.fill_(0.123)
    save_model(folder, model)
    assert float(load_model(folder).mean) == pytest.approx(0.123)


def test_weights_are_not_looked_for_again(tmp_path: Path):
    torch.manual_seed(0)
    initial: Any = build_model("unet", TAXONOMY, {"encoder": "resnet18"})
    encoder = initial.encoder.backbone.state_dict()
    source = tmp_path / "resnet18.safetensors"
    save_file(encoder, source)
    options = {"encoder": "resnet18", "weights": str(source), "decoder_channels": [8] * 5}
    save_model(tmp_path / "model", build_model("unet", TAXONOMY, options))
    source.unlink()
    loaded: Any = load_model(tmp_path / "model")
    assert torch.equal(loaded.encoder.backbone.conv1.weight, encoder["conv1.weight"])


def test_only_built_models_can_be_saved(tmp_path: Path):
    with pytest.raises(CheckpointError, match="build_model"):
        save_model(tmp_path / "model", UNet(TAXONOMY, channels=1))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_missing_files_are_named(folder: Path, name: str):
    (folder / name).unlink()
    with pytest.raises(CheckpointError) as caught:
        load_model(folder)
    assert name in one_line(caught)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_truncated_files_are_named(folder: Path, name: str, part: float):
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(CheckpointError) as caught:
        load_model(folder)
    assert name in one_line(caught)


@pytest.mark.parametrize("content", ["[]", "{}", '{"format": "segscape-model-99"}', "\x00", "3"])
def test_foreign_descriptions_are_refused(folder: Path, content: str):
    (folder / "model.json").write_text(content)
    with pytest.raises(CheckpointError):
        load_model(folder)


@pytest.mark.parametrize("key", ["name", "options", "taxonomy", "mean", "in_channels", "task"])
@pytest.mark.parametrize("value", [None, 3, "x", [], {}, {"categories": [{"name": 1}]}])
def test_damaged_descriptions_are_refused(folder: Path, key: str, value: object):
    path = folder / "model.json"
    description = json.loads(path.read_text())
    description[key] = value
    path.write_text(json.dumps(description))
    if (key, value) == ("task", "x"):
        load_model(folder)  # the name says the task too
        return
    bare = key == "options" and value == {}  # a network, but not this one
    expected = "another architecture" if bare else r"model\.json"
    with pytest.raises(CheckpointError, match=expected) as caught:
        load_model(folder)
    one_line(caught)


def test_weights_of_another_architecture_are_refused(folder: Path):
    tensors = load_file(folder / "model.safetensors")
    wider = {name: torch.cat([one, one]) if one.ndim else one for name, one in tensors.items()}
    save_file(wider, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="of another shape") as caught:
        load_model(folder)
    assert "contracting.0.first" in one_line(caught)
    del tensors["classifier.bias"]
    tensors["head.bias"] = torch.zeros(1)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load_model(folder)
    assert "1 tensors missing (classifier.bias)" in one_line(caught)
    assert "1 unknown (head.bias)" in one_line(caught)


def test_another_taxonomy_is_refused(folder: Path):
    permuted = Taxonomy.from_names(["sky", "water", "ground"])
    with pytest.raises(CheckpointError, match="another order: id 1 is 'ground' there and 'water'"):
        load_model(folder, taxonomy=permuted)
    other = Taxonomy.from_names(["sky", "ground", "lake", "tree"])
    with pytest.raises(CheckpointError, match=r"3 categories, the data has 4.*water.*lake, tree"):
        load_model(folder, taxonomy=other)
    recolored = Taxonomy(
        tuple(Category(name, (index, 0, 9)) for index, name in enumerate(TAXONOMY.names))
    )
    load_model(folder, taxonomy=recolored)


@pytest.mark.parametrize("values", [[0.0], [-1.0], [float("nan")], [float("inf")]])
def test_statistics_that_cannot_be_are_refused(folder: Path, values: list[float]):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"std": values}))
    with pytest.raises(CheckpointError, match=r"model\.json: std is .*give finite numbers above 0"):
        load_model(folder)


@pytest.mark.parametrize("key", ["ignore_id", "name"])
def test_a_taxonomy_of_wrong_types_is_refused(folder: Path, key: str):
    path = folder / "model.json"
    description = json.loads(path.read_text())
    taxonomy = description["taxonomy"]
    (taxonomy if key == "ignore_id" else taxonomy["categories"][0])[key] = float("nan")
    path.write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match=r"model\.json: the taxonomy is damaged") as caught:
        load_model(folder)
    one_line(caught)


def test_a_description_nested_beyond_reading_is_refused(folder: Path):
    (folder / "model.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_model(folder)


def test_weights_that_are_not_numbers_are_refused(folder: Path):
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.bias"][0] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"not finite numbers \(classifier\.bias\)") as caught:
        load_model(folder)
    one_line(caught)


def test_the_model_folder_may_be_where_one_stands(folder: Path, monkeypatch):
    monkeypatch.chdir(folder)
    assert load_model(".").taxonomy == TAXONOMY
