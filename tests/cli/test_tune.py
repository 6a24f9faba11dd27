import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image

from segscape.classical.dense_crf import PUBLISHED_CRFS, DenseCRF
from segscape.cli.main import main
from segscape.cli.refiners import refiner_of
from segscape.inference.segmenter import Segmenter
from segscape.io.image_files import read_image
from segscape.io.mask_files import read_ids
from segscape.models import build_model
from segscape.models.model_files import save_model
from segscape.structures import SegscapeError, Taxonomy


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run folder and two labelled images."""
    place = tmp_path_factory.mktemp("tune")
    generator = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (place / "data" / "val" / kind).mkdir(parents=True)
    for number in range(2):
        ids = np.zeros((24, 32), np.uint8)
        ids[:, 10 + 8 * number :] = 1
        pixels = (120 * ids + generator.integers(0, 20, ids.shape)).astype(np.uint8)
        folder = place / "data" / "val"
        Image.fromarray(pixels).convert("RGB").save(folder / "images" / f"{number}.png")
        Image.fromarray(ids).save(folder / "masks" / f"{number}.png")
    (place / "data" / "classes.txt").write_text("sky\nroad")
    torch.manual_seed(0)
    model = build_model("unet_2015", Taxonomy.from_names(["sky", "road"]), {"channels": 2})
    save_model(place / "run" / "model", model)
    return place


def run(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code or 0


def test_what_is_found_can_be_given_back(made, capsys):
    options = ["--data", f"folder:{made / 'data'}", "--device", "cpu", "--every", 2]
    few = ["--refine-options", "iterations=1", "--json", made / "tuned.json"]
    assert run("tune", made / "run", *options, *few) == 0
    summary, line = capsys.readouterr().out.strip().splitlines()[-2:]
    found = json.loads((made / "tuned.json").read_text())
    assert summary.startswith(f"{len(found['trials'])} settings on 1 images of data, val: mIoU ")
    assert found["images"] == ["0"]
    best = max(found["trials"], key=lambda trial: trial["miou"])
    crf = refiner_of("crf", [line.removeprefix("--refine crf --refine-options ")])
    assert crf is not None
    assert asdict(crf) == {name: value for name, value in best.items() if name != "miou"}
    judged = ["--data", f"folder:{made / 'data'}", "--device", "cpu", "--report", made / "r.html"]
    assert run("evaluate", made / "run", *judged, *line.split(" "), "--json", made / "e.json") == 0
    assert "DenseCRF" in json.loads((made / "e.json").read_text())["model"]["refiner"]


def test_predict_refines(made, capsys):
    image = made / "data/val/images/0.png"
    words = ["--refine", "crf", "--refine-options", "deconvnet,iterations=2", "--device", "cpu"]
    assert run("predict", made / "run", image, "--out", made / "out", *words) == 0
    refiner = DenseCRF(3.0, 3.0, 5.0, 20.0, 3.0, 2)
    segment = Segmenter.load(made / "run", device="cpu", refiner=refiner)
    assert torch.equal(read_ids(made / "out/0.png"), segment(read_image(image)).labels)
    capsys.readouterr()
    assert run("predict", made / "run", image, "--out", made / "out", "--device", "cpu") == 2
    assert "another refiner" in capsys.readouterr().err


def test_settings_and_changes_to_them():
    assert refiner_of(None, None) is None
    assert refiner_of("crf", None) == DenseCRF()
    assert refiner_of("crf", ["krahenbuhl_2011"]) == PUBLISHED_CRFS["krahenbuhl_2011"]
    changed = refiner_of("crf", ["appearance_px=50, iterations=5", "smoothness_px=2.5"])
    assert changed == DenseCRF(appearance_px=50.0, iterations=5, smoothness_px=2.5)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("crv", None, "the one refiner"),
        (None, ["iterations=5"], "add --refine crf"),
        ("crf", ["deeplab"], "choose of krahenbuhl_2011"),
        ("crf", ["sigma=3"], "choose of"),
        ("crf", ["iterations=2.5"], "a whole number"),
        ("crf", ["appearance_px=x"], "a number"),
        ("crf", ["appearance_px=0"], "above 0"),
        ("crf", ["appearance_weight=-1"], "0 or more"),
    ],
)
def test_what_cannot_be_read_is_refused(name, options, words):
    with pytest.raises(SegscapeError, match=words):
        refiner_of(name, options)
