import json

import numpy as np
import pytest
import torch
from PIL import Image

from segscape.cli.main import main
from segscape.models import build_model
from segscape.models.model_files import save_model
from segscape.structures import Taxonomy

NAMES = ["sky", "road"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Three labelled images and two models, one beside the other."""
    place = tmp_path_factory.mktemp("compare")
    generator = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (place / "data" / "val" / kind).mkdir(parents=True)
    for number in range(3):
        pixels = generator.integers(0, 256, (40, 48, 3), np.uint8)
        ids = generator.choice([0, 1], (40, 48)).astype(np.uint8)
        Image.fromarray(pixels).save(place / "data" / "val" / "images" / f"{number}.png")
        Image.fromarray(ids).save(place / "data" / "val" / "masks" / f"{number}.png")
    (place / "data" / "classes.txt").write_text("\n".join(NAMES))
    for name, channels in (("[narrow]", 2), ("wide", 4)):
        torch.manual_seed(0)
        options = {"encoder": f"plain{channels}", "depth": 2, "decoder_channels": [channels]}
        save_model(place / name / "model", build_model("unet", Taxonomy.from_names(NAMES), options))
    return place


def compare(place, *words):
    with pytest.raises(SystemExit) as stop:
        main(["compare", *map(str, words), "--device", "cpu", "--precision", "fp32"])
    return stop.value.code


def test_two_runs_side_by_side(place, tmp_path, capsys):
    page, numbers = tmp_path / "page.html", tmp_path / "numbers.json"
    data = f"folder:{place / 'data'}"
    words = ["--data", data, "--report", page, "--json", numbers]
    assert compare(place, place / "[narrow]", place / "wide", *words) == 0
    said = capsys.readouterr().out
    assert "[narrow]" in said
    assert "no intervals: 3 images are too few to draw from, 5 are the least" in said
    assert all(len(line) <= 80 for line in said.splitlines() if str(tmp_path) not in line)
    found = json.loads(numbers.read_text())
    assert found["reference"] == "[narrow]"
    narrow, wide = found["runs"]
    assert narrow["difference"] is None
    assert narrow["parameters"] < wide["parameters"]
    assert narrow["evaluation"]["images"] == wide["evaluation"]["images"] == 3
    assert "wide" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        (["wide"], "compare got 1 run"),
        (["wide", "wide/model"], "one run twice"),
        (["wide", "none"], "no such folder"),
    ],
)
def test_what_cannot_be_compared_leaves_no_page(place, tmp_path, capsys, names, cause):
    page = tmp_path / "page.html"
    words = ["--data", f"folder:{place / 'data'}", "--report", page]
    assert compare(place, *(place / name for name in names), *words) == 2
    said = capsys.readouterr().err
    assert cause in said
    assert len(said.splitlines()) == 1
    assert not page.exists()
