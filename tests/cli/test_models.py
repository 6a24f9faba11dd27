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


def test_the_table_names_every_model_its_paper_and_what_it_sees(capsys: pytest.CaptureFixture[str]):
    main_without_exit(["models", "--task", "semantic"])
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    shown = {words[0]: words for words in map(str.split, lines) if words and words[0] in MODELS}
    assert set(shown) == set(MODELS)
    assert shown["fcn8s"][-4:] == ["8", "16", "32", "468"]
    assert shown["pspnet"][-1] == "image"
    for entry in MODELS.values():
        assert entry.paper.split()[-1] in captured.out  # no number cut short
    assert all(len(line) <= 80 for line in lines)
    assert captured.err == ""  # no bar where there is no terminal


def test_named_networks_are_listed_alone(capsys: pytest.CaptureFixture[str]):
    main_without_exit(["models", "sliding_window", "fcn_resnet", "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {"sliding_window", "fcn_resnet"}
    assert rows["sliding_window"]["receptive_field"] == 95
    main_without_exit(["models", "sliding_window"])
    shown = capsys.readouterr().out
    assert "95" in shown
    assert "unet" not in shown


def test_a_terminal_sees_how_far_it_is(capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    main_without_exit(["models", "sliding_window", "--json"])
    captured = capsys.readouterr()
    assert "building" in captured.err
    assert [row["name"] for row in json.loads(captured.out)] == ["sliding_window"]


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
