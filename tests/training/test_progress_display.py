"""What is shown: a bar for people, lines for logs."""

import sys

from segscape.training import progress_display
from segscape.training.progress_display import Bar, Lines, display


def test_lines_where_nobody_watches(monkeypatch, capsys):
    monkeypatch.setattr(progress_display, "_LINE_EVERY", 0.0)
    shown = display(10, 4)
    assert isinstance(shown, Lines)
    with shown:
        shown.step(5, 2.0)
        shown.evaluation(5, 1.5, 0.7, 0.25, best=True)
        shown.evaluation(6, 2.0, 0.7, None, best=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("step 5/10  loss 2.0000  about")
    assert lines[1] == "epoch    1.5  validation loss 0.7000  mIoU 0.2500  best so far"
    assert lines[2].endswith("mIoU not defined")


def test_a_bar_at_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    shown = display(10, 0)
    assert isinstance(shown, Bar)
    with shown:
        shown.step(3, 1.25)
        shown.evaluation(3, 1.0, 0.5, 0.75, best=True)
    error = capsys.readouterr().err
    assert "mIoU 0.7500" in error
    assert "3/10" in error
