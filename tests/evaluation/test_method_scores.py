"""Methods scored on images that several people parted; tables and refusals of the command."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from segscape.classical.felzenszwalb import felzenszwalb
from segscape.cli.main import main
from segscape.datasets.bsds500 import BerkeleyDataset
from segscape.evaluation.method_scores import score_method
from segscape.metrics.partition import PartitionAgreement
from segscape.structures import MethodError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    place = tmp_path_factory.mktemp("berkeley")
    random = np.random.default_rng(0)
    for kind in ("images", "groundTruth"):
        (place / kind / "val").mkdir(parents=True)
    for name in ("a", "b", "c"):
        ids = np.ones((20, 26), np.uint16)
        ids[4:14, 6:20] = 2
        noise = random.integers(0, 30, (20, 26, 3))
        pixels = np.where(ids[..., None] == 2, 200, 60) + noise
        Image.fromarray(pixels.astype(np.uint8)).save(
            place / "images" / "val" / f"{name}.jpg", quality=95
        )
        cells = np.empty((1, 2), object)
        cells[0, 0], cells[0, 1] = {"Segmentation": ids}, {"Segmentation": np.ones_like(ids)}
        savemat(place / "groundTruth" / "val" / f"{name}.mat", {"groundTruth": cells})
    return place


SETTINGS = {"scale=20": {"scale": 20.0}, "scale=900": {"scale": 900.0}}


def test_scores_are_those_of_the_metrics_and_do_not_depend_on_the_processes(root):
    dataset = BerkeleyDataset(root, split="val")
    told: list[tuple[int, int]] = []
    alone = score_method(
        "felzenszwalb", dataset, SETTINGS, processes=1, progress=lambda *done: told.append(done)
    )
    shared = score_method("felzenszwalb", dataset, SETTINGS, processes=2)
    metric = PartitionAgreement()
    for k in range(3):
        item = dataset[k]
        metric.update(felzenszwalb(item.image, scale=900.0), item.truths, item.key)
    assert alone.settings["scale=900"].agreement == metric.compute()
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert alone.family == shared.family
    for name, setting in alone.settings.items():
        assert setting.agreement == shared.settings[name].agreement
        assert setting.superpixels == shared.settings[name].superpixels
        assert setting.seconds > 0
    assert alone.family.covering_ois >= alone.family.covering_ods
    assert score_method("felzenszwalb", dataset, SETTINGS, limit=2, processes=1).images == 2


def test_what_the_method_refuses_is_told_with_the_image_and_the_setting(root):
    dataset = BerkeleyDataset(root, split="val")
    for processes in (1, 2):
        with pytest.raises(MethodError, match="image 'a', zero: felzenszwalb got scale=0"):
            score_method("felzenszwalb", dataset, {"zero": {"scale": 0.0}}, processes=processes)


def run(*words):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", *map(str, words)])
    return stop.value.code or 0


def test_the_command_prints_and_writes_the_numbers(root, tmp_path, capsys):
    words = ["--method", "felzenszwalb", "--data", f"bsds500:{root}", "--sweep", "scale=20,900"]
    assert run(*words, "smallest-px=9", "--processes", 1, "--json", tmp_path / "s.json") == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("scale=20", "scale=900", "ODS", "OIS", "Best"))
    found = json.loads((tmp_path / "s.json").read_text())
    assert found["method"] == "felzenszwalb"
    assert found["images"] == 3
    assert found["settings"]["scale=20"]["options"] == {"smallest_px": 9, "scale": 20.0}
    assert 0 < found["family"]["boundaries_ods"]["f"] <= 1
    assert f"{found['family']['covering_ods']:.3f}" in printed


def test_two_sweeps_make_all_combinations(root, tmp_path):
    words = ["--method", "felzenszwalb", "--data", f"bsds500:{root}", "--processes", 1]
    words += ["--sweep", "scale=20,900", "--sweep", "smallest_px=5,20", "--limit", 1]
    assert run(*words, "--json", tmp_path / "s.json") == 0
    found = json.loads((tmp_path / "s.json").read_text())
    assert list(found["settings"]) == [
        f"scale={scale} smallest_px={least}" for scale in (20, 900) for least in (5, 20)
    ]


def test_no_setting_is_cut_short_in_80_columns(root, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = ["--method", "felzenszwalb", "--data", f"bsds500:{root}", "--processes", 1]
    assert run(*words, "--limit", 1, "--sweep", "smoothing-px=0.0,0.25", "scale=1000.123456") == 0
    words += ["--sweep", "scale=1000.123456,20", "--sweep", "smallest_px=5,12345"]
    assert run(*words, "--limit", 1) == 0
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= 80
    for setting in ("scale=1000.123456", "smallest_px=12345", "smoothing_px=0.25"):
        assert setting in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "slik", "--data", "{root}"], "unknown method 'slik': did you mean 'slic'?"),
        (["--method", "grab-cut", "--data", "{root}"], "needs to be shown what to look for"),
        (["--method", "slic"], "give --data bsds500:ROOT"),
        (["--method", "slic", "--data", "{root}", "--split", "test"], "it has val"),
        (["--method", "slic", "--data", "{root}", "superpixel=3"], "did you mean 'superpixels'?"),
        (["--method", "slic", "--data", "{root}", "--sweep", "x"], "write option=value,value"),
        (
            ["--method", "slic", "--data", "{root}", "--sweep", "seed=1"],
            "unknown option 'seed'",
        ),
        (
            ["--method", "slic", "--data", "{root}", "superpixels=9", "--sweep", "superpixels=3"],
            "both swept and fixed",
        ),
        (["--method", "slic", "--data", "{root}", "--tile", "3", "4"], "belongs to runs"),
        (
            ["--method", "slic", "--data", "{root}", "--refine-options", "tolerance=1"],
            "--refine-options: belongs to runs",
        ),
        (["--sweep", "a=1", "run"], "belongs to methods"),
        (["a", "b"], "name one run folder"),
        ([], "name one run folder"),
    ],
)
def test_bad_input_is_one_line(words, said, root, capsys):
    assert run(*(word.format(root=root) for word in words)) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
