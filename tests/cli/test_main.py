import subprocess
import sys

import pytest

from segscape.cli.main import VERBS, main


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "segscape.cli.main", *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_verb_without_loading_torch():
    code = (
        "import sys\nfrom segscape.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert all(f" {verb} " in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert "Usage" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("segscape 0.")


def test_an_unknown_verb_is_refused_with_the_nearest():
    done = run("chek")
    assert done.returncode == 2
    assert "check" in done.stderr


def test_an_error_is_one_line_with_exit_code_2(tmp_path):
    done = run("check", f"folder:{tmp_path / 'no [such] folder'}")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "no [such] folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["trian", "demo"], "Did you mean 'train'?: see 'segscape --help'"),
        (["train", "--nope"], "No such option: --nope"),
        (["predict", "run", "a.png", "--out", "x", "--tile", "64"], "requires 2 arguments"),
        (["predict"], "Missing argument 'run': see 'segscape predict --help'"),
    ],
)
def test_misuse_is_one_line_with_exit_code_2(words, cause, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert len(said.splitlines()) == 1
    assert cause in said


@pytest.mark.parametrize("words", [["predict", "run", ""], ["train", "demo", "--out", " "]])
def test_an_empty_argument_is_not_taken_for_this_folder(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("segscape: an argument is empty")
