import json
import shutil

import pytest
import torch
from tests.support.data_roots import data_root
from tests.support.tiny_models import TAXONOMY

from segscape.cli.main import main
from segscape.inference.ensemble import Ensemble
from segscape.inference.proposals import Proposals
from segscape.inference.segmenter import Segmenter
from segscape.io.image_files import read_image, write_image
from segscape.io.mask_files import read_ids
from segscape.models import build_model
from segscape.models.model_files import save_model
from segscape.structures import Size
from segscape.training.recipe import Recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    save_model(folder / "model", build_model("unet_2015", TAXONOMY, {"channels": 2}))
    return folder


@pytest.fixture
def images(tmp_path):
    for name in ("one/a.png", "two/a.png"):
        (tmp_path / name).parent.mkdir()
        pixels = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8)
        write_image(tmp_path / name, pixels)
    return tmp_path


def call(*words):
    """Run the command; returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        main(["predict", *map(str, words), "--device", "cpu"])
    return stop.value.code or 0


def test_masks_of_two_folders(run, images, capsys):
    out = images / "out"
    assert call(run, images / "one", images / "two", "--out", out, "--precision", "fp32") == 0
    segment = Segmenter.load(run, precision="fp32", device="cpu")
    for name in ("one/a.png", "two/a.png"):
        assert torch.equal(read_ids(out / name), segment(read_image(images / name)).labels)
    line = capsys.readouterr().out
    assert line.startswith(f"2 images predicted into {out}, ")
    assert "s per image" in line
    assert call(run, images / "one", images / "two", "--out", out, "--precision", "fp32") == 0
    assert "2 were there already" in capsys.readouterr().out


def test_all_options(run, images):
    out = images / "out"
    options = ["--format", "png,json", "--format", "overlay", "--tile", 32, 48, "--overlap", 8]
    options += ["--flips", "--turns", "--scales", 1, "--scales", 0.5, "--precision", "fp32"]
    assert call(run / "model", images / "one" / "*.png", "--out", out, *options) == 0
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert names == {"a.png", "a.json", "overlay/a.png", "segscape.json", "summary.json"}
    made = json.loads((out / "segscape.json").read_text())["options"]
    assert made["tile"] == [32, 48]
    assert made["overlap"] == 8
    assert made["flips"] is True
    assert made["turns"] is True
    assert made["scales"] == [1.0, 0.5]
    segment = Segmenter.load(
        run,
        tile=Size(32, 48),
        overlap=8,
        flips=True,
        turns=True,
        scales=(1.0, 0.5),
        precision="fp32",
        device="cpu",
    )
    image = read_image(images / "one/a.png")
    assert torch.equal(read_ids(out / "a.png"), segment(image).labels)


def test_another_run_joined_with_this_one(run, images, tmp_path):
    torch.manual_seed(1)
    save_model(tmp_path / "b" / "model", build_model("unet_2015", TAXONOMY, {"channels": 2}))
    out = images / "out"
    words = [run, images / "one", "--out", out, "--precision", "fp32"]
    assert call(*words, "--with", tmp_path / "b", "--rule", "product", "--proposals", 3) == 0
    made = json.loads((out / "segscape.json").read_text())["options"]
    other = Segmenter.load(tmp_path / "b", precision="fp32", device="cpu")
    assert made["ensemble"]["rule"] == "product"
    assert made["ensemble"]["others"][0]["model"] == other.fingerprint
    assert made["proposals"]["count"] == 3
    joined = Ensemble({"b": other}, "product")
    segment = Segmenter.load(
        run, proposals=Proposals(3), ensemble=joined, precision="fp32", device="cpu"
    )
    image = read_image(images / "one/a.png")
    assert torch.equal(read_ids(out / "a.png"), segment(image).labels)
    # What is there was made another way.
    assert call(*words) == 2


@pytest.mark.parametrize(
    ("words", "tile", "overlap"),
    [
        ((), [48, 48], 20),
        (("--tile", 32, 32), [32, 32], 4),
        (("--overlap", 6), [48, 48], 6),
    ],
)
def test_the_recipes_overlap_belongs_to_its_tile(run, images, words, tile, overlap):
    shutil.copytree(run / "model", images / "run/model")
    recipe = Recipe.from_mapping(
        {
            "data": {"train": "folder:here"},
            "model": {"name": "unet_2015"},
            "training": {"epochs": 1},
            "prediction": {"tile": [48, 48], "overlap": 20},
        }
    )
    (images / "run/recipe.yaml").write_text(recipe.to_yaml())
    out = images / "out"
    assert call(images / "run", images / "one", "--out", out, "--precision", "fp32", *words) == 0
    made = json.loads((out / "segscape.json").read_text())["options"]
    assert (made["tile"], made["overlap"]) == (tile, overlap)


def test_a_bad_image_is_one_line_and_exit_code_2(run, images, capsys):
    (images / "one/bad.png").write_bytes(b"no image")
    out = images / "out"
    assert call(run, images / "one", "--out", out) == 2
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert len(lines) == 2
    assert "bad.png" in lines[0]
    assert "1 of 2 images" in lines[1]
    assert "Traceback" not in told.err
    assert (out / "a.png").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "bmp"], "png, overlay, scores, json"),
        (["--precision", "half"], "auto, fp32, bf16"),
        (["--tile", "8", "8", "--overlap", "6"], "half its shorter side"),
        (["--scales", "0"], "scales"),
        (["--tile", "32", "32", "--proposals", "5"], "leave out the tile"),
        (["--rule", "mean"], "name one, --with RUN"),
        (["--with", "nowhere"], "nowhere: no such folder"),
        (["--with", "nowhere", "--rule", "best"], "choose one of mean, product"),
    ],
)
def test_options_that_cannot_be_used(run, images, capsys, options, words):
    assert call(run, images / "one", "--out", images / "out", *options) == 2
    told = capsys.readouterr().err
    assert words in told
    assert len(told.splitlines()) == 1
    assert not (images / "out").exists()


def test_a_folder_without_a_model(images, capsys):
    assert call(images, images / "one", "--out", images / "out") == 2
    assert "neither model/ nor" in capsys.readouterr().err


@pytest.mark.data
def test_real_photographs(run, tmp_path):
    folder = data_root("camvid") / "val" / "images"
    photographs = sorted(folder.glob("*.jpg"))[:2]
    assert call(run, *photographs, "--out", tmp_path / "masks") == 0
    for photograph in photographs:
        ids = read_ids(tmp_path / "masks" / f"{photograph.stem}.png")
        assert ids.shape == read_image(photograph).shape[1:]
