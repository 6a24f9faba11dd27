"""`segscape train` from the command line."""

import signal

import pytest
from tests.support.labelled_folders import labelled_folder, save, striped_mask
from tests.support.training_runs import tiny_recipe

from segscape.cli.main import main
from segscape.training import loop
from segscape.training.interruption import Interrupted
from segscape.training.journal import read_journal


@pytest.fixture
def recipe_file(tmp_path):
    data = labelled_folder(tmp_path / "data")
    recipe = tiny_recipe(epochs=None, steps=2)
    images = recipe.data.model_copy(update={"train": f"folder:{data}", "val": None})
    path = tmp_path / "tiny.yaml"
    path.write_text(recipe.model_copy(update={"data": images}).to_yaml())
    return path


def _run(capsys, *words: object) -> tuple[int, str, str]:
    """Exit code and what was printed to the two streams."""
    code = 0
    try:
        main([str(word) for word in words])
    except SystemExit as left:
        code = int(left.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_run_from_overrides_to_the_next_command(recipe_file, tmp_path, capsys):
    run = tmp_path / "run"
    words = ("train", recipe_file, "training.steps=1", "training.seed=5", "--out", run)
    code, out, _ = _run(capsys, *words)
    assert code == 0
    assert f"segscape evaluate {run}" in out
    assert f"segscape predict {run}" in out
    assert (run / "model/model.safetensors").exists()
    assert read_journal(run)[-1]["step"] == 1

    code, _, error = _run(capsys, *words)
    assert code == 2
    assert "--resume" in error
    assert error.count("\n") == 1

    for again in (words, ("train", run)):
        code, out, _ = _run(capsys, *again, "--resume")
        assert code == 0
        assert "finished already" in out


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("training.epoch=3", "did you mean 'epochs'"),
        ("data.train=folder:/nowhere/at/all", "/nowhere/at/all"),
        ("model.encoder=resnot18", "resnot18"),
        ("model.decoder_chanels=[1]", "decoder_channels"),
        ("weights=/nowhere", "/nowhere"),
        ("training.batch_size=none", "training.batch_size: got 'none'"),
    ],
)
def test_wrong_words_are_one_line_and_leave_nothing(recipe_file, tmp_path, capsys, word, message):
    code, _, error = _run(capsys, "train", recipe_file, word, "--out", tmp_path / "run")
    assert code == 2
    assert message in error
    assert "Traceback" not in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_wrong_options_are_refused_before_the_data_are_examined(recipe_file, tmp_path, capsys):
    words = ["data.train=folder:/nowhere", "losses=[{name: focal, gamma: -1}]"]
    code, _, error = _run(capsys, "train", recipe_file, *words, "--out", tmp_path / "run")
    assert code == 2
    assert error.startswith("segscape: losses.0.gamma: focal: gamma -1.0 is negative")


def test_sick_data_are_refused_before_training(recipe_file, tmp_path, capsys):
    mask = tmp_path / "data/train/masks/train0.png"
    save(mask, striped_mask(ids=(0, 1, 77)))
    words = ("train", recipe_file, "--out", tmp_path / "run")
    code, _, error = _run(capsys, *words)
    assert code == 2
    assert "77" in error
    assert "train0" in error
    assert not (tmp_path / "run").exists()
    # Unchecked, the loader finds the same.
    code, _, error = _run(capsys, *words, "--no-check")
    assert code == 2
    assert "77" in error


def test_a_truncated_image_is_named(recipe_file, tmp_path, capsys):
    image = tmp_path / "data/train/images/train1.png"
    image.write_bytes(image.read_bytes()[:200])
    code, _, error = _run(capsys, "train", recipe_file, "--out", tmp_path / "run", "--no-check")
    assert code == 2
    assert "train1.png" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_says_how_to_go_on(
    recipe_file, tmp_path, capsys, monkeypatch, number, expected
):
    def interrupted(*_: object, **__: object) -> None:
        raise Interrupted(int(number), 17)

    monkeypatch.setattr(loop, "train", interrupted)
    code, out, _ = _run(capsys, "train", recipe_file, "--out", tmp_path / "run")
    assert code == expected
    assert "step 17" in out
    assert f"segscape train {tmp_path / 'run'} --resume" in out
