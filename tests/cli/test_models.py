import json

import pytest

from segscape.cli.main import main
from segscape.models import MODELS


def test_json_counts_parameters(capsys: pytest.CaptureFixture[str]):
    main_without_exit(["models", "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == set(MODELS)
    assert rows["fcn8s"]["parameters"] == 134_362_751
    assert rows["unet_2015"]["strides"] == [1, 2, 4, 8, 16]
    assert rows["unet"]["strides"] == [2, 4, 8, 16, 32]


def test_the_table_names_every_model(capsys: pytest.CaptureFixture[str]):
    main_without_exit(["models", "--task", "semantic"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in MODELS)


def test_named_networks_show_their_receptive_field(capsys: pytest.CaptureFixture[str]):
    main_without_exit(["models", "sliding_window", "fcn_resnet", "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {"sliding_window", "fcn_resnet"}
    assert rows["sliding_window"]["receptive_field"] == 95
    main_without_exit(["models", "sliding_window"])
    shown = capsys.readouterr().out
    assert "95" in shown
    assert "unet" not in shown


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(["models", "fcn9s"])
    assert left.value.code == 2
    assert "no model is named 'fcn9s': did you mean 'fcn" in capsys.readouterr().err


def test_an_unknown_task_is_one_line(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(["models", "--task", "semantics"])
    assert left.value.code == 2
    assert "choose one of semantic" in capsys.readouterr().err


def main_without_exit(words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0
