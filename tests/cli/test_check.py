import json

import numpy as np
import pytest
from tests.support.data_roots import data_root
from tests.support.labelled_folders import labelled_folder, save, striped_mask
from typer.testing import CliRunner

from segscape.cli.main import application, main


def run(*words, columns=100):
    return CliRunner().invoke(
        application("check"), ["check", *map(str, words)], env={"COLUMNS": str(columns)}
    )


def test_a_healthy_folder(tmp_path):
    result = run(labelled_folder(tmp_path))
    assert result.exit_code == 0, result.output
    assert "train: 4 images, 40 x 48 pixels" in result.output
    assert "ready for training" in result.output
    row = next(line for line in result.output.splitlines() if " road" in line)
    assert row.split()[:3] == ["1", "road", "33.33"]
    assert "█" in row


def test_a_sick_folder_leaves_with_1_and_says_the_cure(tmp_path):
    root = labelled_folder(tmp_path)
    save(root / "val" / "masks" / "val1.png", striped_mask(ids=(0, 1, 7)))
    result = run(f"folder:{root}")
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "unknown ids: 1 of 6 masks" in text
    assert "--ignore 7" in text
    assert "1 error: training would go wrong" in text
    assert run(f"folder:{root}", "--ignore", "7").exit_code == 0
    assert run(f"folder:{root}", "--split", "train").exit_code == 0


def test_json_is_one_object_and_nothing_else(tmp_path):
    root = labelled_folder(tmp_path)
    save(root / "train" / "masks" / "train0.png", np.full((20, 24), 0, np.uint8))
    result = run(root, "--json", "--split", "train")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert content["healthy"] is False
    assert content["findings"][0]["subject"] == "size mismatch"
    assert content["findings"][0]["severity"] == "error"
    assert content["splits"][0]["images"] == 4
    assert set(content["class_weights"]) == {
        "none",
        "inverse",
        "median_frequency",
        "enet",
        "effective_number",
    }


def test_classes_from_a_file(tmp_path):
    root = labelled_folder(tmp_path, names=None, ids=(5, 6))
    (tmp_path / "mine.yaml").write_text("categories: [{name: a, id: 5}, {name: b, id: 6}]")
    assert run(root, "--classes", tmp_path / "mine.yaml").exit_code == 0


def test_bad_input_is_one_line_and_2(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["check", str(tmp_path / "nowhere")])
    assert left.value.code == 2
    error = capsys.readouterr().err.strip()
    assert "nowhere" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("columns", [40, 79, 100, 200])
def test_lines_fit_the_terminal(tmp_path, columns):
    root = labelled_folder(tmp_path, names=("sky", "road", "a very long class name indeed"))
    save(root / "val" / "masks" / "val1.png", striped_mask(ids=(0, 1, 7)))
    result = run(root, columns=columns)
    assert max(map(len, result.output.splitlines())) <= min(columns, 100)


def test_nothing_is_cut_at_the_width_of_a_pipe(tmp_path):
    output = run(labelled_folder(tmp_path), columns=80).output
    assert "…" not in output
    row = next(line for line in output.splitlines() if " road" in line)
    assert len(row.split()) == 9


@pytest.mark.data
def test_camvid():
    result = run(f"folder:{data_root('camvid')}")
    assert result.exit_code == 0, result.output
    assert "train: 367 images, 360 x 480 pixels, 3.9 % void" in result.output
    assert "4.79" in result.output
