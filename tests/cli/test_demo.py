import json
import subprocess
import sys

import pytest

from segscape.training.journal import read_journal


@pytest.mark.slow
def test_the_demo_trains_judges_predicts_and_reports(tmp_path):
    out = tmp_path / "demo"
    command = [sys.executable, "-m", "segscape.cli.main", "demo", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_journal(out)[-1]["best"]["miou"] >= 0.90
    assert str(out / "report.html") in done.stdout.replace("\n", "")
    assert len(list((out / "masks").glob("*.png"))) == 8
    assert json.loads((out / "model" / "model.json").read_text())["name"] == "unet"
    # A finished demo is judged and used again, not trained again.
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "finished already" in again.stdout
