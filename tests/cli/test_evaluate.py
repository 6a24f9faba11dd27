import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from segscape.cli.judged_data import judged_data
from segscape.cli.judging import open_segmenter
from segscape.cli.main import main
from segscape.models import build_model
from segscape.models.model_files import save_model
from segscape.structures import DatasetError, Taxonomy
from segscape.training.recipe import Recipe, read_recipe

NAMES = ["sky", "road"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of four images, and a run whose recipe names it and ignores id 9."""
    place = tmp_path_factory.mktemp("evaluate")
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (place / "data" / split / kind).mkdir(parents=True)
        for number in range(2):
            pixels = generator.integers(0, 256, (40, 48, 3), np.uint8)
            ids = generator.choice([0, 1, 9], (40, 48)).astype(np.uint8)
            folder = place / "data" / split
            Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
            Image.fromarray(ids).save(folder / "masks" / f"{number}.png")
    (place / "data" / "classes.txt").write_text("\n".join(NAMES))
    torch.manual_seed(0)
    options = {"encoder": "resnet18"}
    model = build_model("unet", Taxonomy.from_names(NAMES), options)
    save_model(place / "run" / "model", model)
    recipe = Recipe.from_mapping(
        {
            "data": {"train": f"folder:{place / 'data'}", "ignore": [9]},
            "model": {"name": "unet", **options},
            "training": {"epochs": 1},
        }
    )
    (place / "run" / "recipe.yaml").write_text(recipe.to_yaml())
    return place


def _run(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code


def test_the_recipes_validation_images_are_judged_by_default(made, capsys):
    assert _run("evaluate", made / "run", "--json", made / "out.json") in (0, None)
    printed = capsys.readouterr().out
    found = json.loads((made / "out.json").read_text())
    assert found["images"] == 2
    assert found["pixels"]["void"] > 0
    assert found["intervals"] is None
    for told in (printed, (made / "run" / "report.html").read_text()):
        assert "no intervals: 2 images are too few to draw from, 5 are the least" in told
    assert [category["name"] for category in found["per_class"]] == NAMES
    assert f"{100 * found['metrics']['miou']:.1f}" in printed
    assert f"boundary F1 {100 * found['metrics']['boundary_f1']:.1f}" in " ".join(printed.split())
    trimap, small = found["metrics"]["trimap"], found["region_sizes"][0]
    words = " ".join(printed.split())
    assert f"trimap mIoU, 1 px {100 * trimap['1']:.1f} (32 px: {100 * trimap['32']:.1f})" in words
    assert (
        f"recall below 1,024 px {100 * small['mean_recall']:.1f} "
        f"(IoU {100 * small['miou']:.1f}; regions {small['regions']:,})"
    ) in words
    assert "Boundary IoU" in (made / "run" / "report.html").read_text()
    assert str(made / "run" / "report.html") in printed
    assert str(made / "out.json") in printed
    assert max(map(len, printed.splitlines()[:8])) <= 100
    assert "run on data, val" in (made / "run" / "report.html").read_text()


def test_the_recipes_ignored_ids_hold_for_its_folder_under_another_path(made, monkeypatch):
    monkeypatch.chdir(made / "run")
    words = ["--data", "folder:../data", "--split", "train", "--limit", "1", "--flips", "--turns"]
    report = made / "page.html"
    assert _run("evaluate", ".", *words, "--json", "b.json", "--report", report) in (0, None)
    found = json.loads((made / "run" / "b.json").read_text())
    assert found["images"] == 1
    assert found["data"]["ignored_ids"] == "9"
    assert found["model"]["flips"] is True
    assert found["model"]["turns"] is True
    assert report.exists()


def test_what_a_recipe_joins_is_judged_alone_too(made, monkeypatch, capsys):
    """EDeconvNet's way, in `prediction` of a recipe; two runs that name each other end."""
    monkeypatch.chdir(made)
    torch.manual_seed(1)
    model = build_model("unet", Taxonomy.from_names(NAMES), {"encoder": "resnet18"})
    recipe = read_recipe(made / "run").model_dump(mode="json")
    for name, other in (("one", "other"), ("other", "one")):
        save_model(made / name / "model", model)
        ensemble = {"runs": [other], "rule": "product"}
        joined = {**recipe, "prediction": {"proposals": 4, "ensemble": ensemble}}
        (made / name / "recipe.yaml").write_text(Recipe.from_mapping(joined).to_yaml())
    words = ["--limit", 1, "--no-boundary", "--json", "joined.json"]
    assert _run("evaluate", "other", *words) in (0, None)
    facts = json.loads((made / "joined.json").read_text())["model"]
    assert facts["ensemble"] == "product with one"
    assert facts["proposals"].startswith("count 4, shortest_side_px 112, ")
    assert _run("evaluate", "other", *words, "--proposals", 0, "--with", "run") in (0, None)
    facts = json.loads((made / "joined.json").read_text())["model"]
    assert facts["ensemble"] == "product with run"
    assert "proposals" not in facts
    capsys.readouterr()
    assert _run("compare", "run", "other", "--limit", 1, "--json", "joined.json") in (0, None)
    alone, both = json.loads((made / "joined.json").read_text())["runs"]
    assert both["parameters"] == 2 * alone["parameters"]


def test_the_recipes_overlap_belongs_to_its_tile(made):
    recipe = Recipe.from_mapping(
        {
            "data": {"train": "folder:here"},
            "model": {"name": "unet"},
            "training": {"epochs": 1},
            "prediction": {"tile": [96, 96], "overlap": 32},
        }
    )
    opened = [
        open_segmenter(made / "run", recipe, tile=tile, device="cpu", precision="fp32")
        for tile in (None, (64, 64))
    ]
    assert [(one.tile, one.overlap) for one in opened] == [((96, 96), 32), ((64, 64), 8)]


def test_the_report_of_some_images_leaves_that_of_all(made, capsys, tmp_path):
    shutil.copytree(made / "run", tmp_path / "run")
    (tmp_path / "run" / "report.html").write_text("of all")
    assert _run("evaluate", tmp_path / "run", "--limit", 1, "--no-boundary") in (0, None)
    assert (tmp_path / "run" / "report.html").read_text() == "of all"
    part = tmp_path / "run" / "report_first_1.html"
    assert str(part) in capsys.readouterr().out
    assert "run on data, val" in part.read_text()


def test_another_folder_needs_its_own_ignored_ids(made, capsys):
    shutil.copytree(made / "data", made / "other", dirs_exist_ok=True)
    words = ["evaluate", made / "run", "--data", f"folder:{made / 'other'}"]
    assert _run(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("segscape: ")
    assert error.count("\n") == 1
    assert _run(*words, "--ignore", 9, "--report", made / "other.html") in (0, None)


def test_pieces_of_a_category_are_judged_as_cells(made, capsys, tmp_path):
    places = ["--json", tmp_path / "a.json", "--report", tmp_path / "a.html"]
    assert _run("evaluate", made / "run", "--cells", "road", *places) in (0, None)
    printed = " ".join(capsys.readouterr().out.split())
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["cells"]["category"] == "road"
    assert "pieces of road, in %" in printed
    rows = [{"key": "all"} | found["cells"], *found["cells"]["per_image"]]
    names = ["rand", "rand_split", "rand_merge"]
    names += ["information", "information_split", "information_merge"]
    for row in rows:
        numbers = [f"{100 * row[name]:.2f}" for name in names]
        assert " ".join([row["key"], *numbers, f"{100 * row['warping_error']:.4f}"]) in printed
    assert "Warping error" in (tmp_path / "a.html").read_text()


def test_other_categories_are_refused_in_one_line(made, capsys, tmp_path):
    (tmp_path / "classes.txt").write_text("sky\nwater\n")
    assert _run("evaluate", made / "run", "--classes", tmp_path / "classes.txt") == 2
    error = capsys.readouterr().err
    assert "'water' only in the data, 'road' only in the model" in error
    assert error.count("\n") == 1


def test_a_model_folder_alone_needs_data(made, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert _run("evaluate", made / "run" / "model") == 2
    assert "--data LAYOUT:ROOT" in capsys.readouterr().err
    words = ["--data", f"folder:{made / 'data'}", "--ignore", 9]
    assert _run("evaluate", made / "run" / "model", *words) in (0, None)
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["missing"], "no such folder"),
        (["run", "--json", "data"], "is a folder, a file was to be written"),
        (["run", "--data", "folder:nowhere"], "not found"),
        (["run", "--split", "test"], "test"),
        (["run", "--cells", "rode"], "no category is named 'rode': the categories are sky, road"),
    ],
)
def test_bad_input_is_one_line_and_code_2(made, capsys, monkeypatch, words, expected):
    monkeypatch.chdir(made)
    assert _run("evaluate", *words) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_nothing_named_is_refused():
    with pytest.raises(DatasetError, match="name them with --data"):
        judged_data(None, None, None, None, ())
