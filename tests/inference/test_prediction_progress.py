import io

from rich.console import Console

from segscape.inference import prediction_progress
from segscape.inference.prediction_progress import PredictionProgress


def on_a_terminal(monkeypatch, patience):
    """The text that a terminal gets; each check of the time is a second later."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80)
    seconds = iter(range(1000))
    monkeypatch.setattr(prediction_progress, "Console", lambda **_: console)
    monkeypatch.setattr(prediction_progress, "perf_counter", lambda: float(next(seconds)))
    monkeypatch.setattr(prediction_progress, "PATIENCE", patience)
    return text


def test_short_work_shows_no_bar(monkeypatch):
    text = on_a_terminal(monkeypatch, patience=100.0)
    with PredictionProgress(3, shown=True) as progress:
        for _ in range(3):
            progress.done()
    assert text.getvalue() == ""


def test_long_work_shows_a_bar_and_failures_above_it(monkeypatch):
    text = on_a_terminal(monkeypatch, patience=2.0)
    with PredictionProgress(4, shown=True) as progress:
        progress.part(0.5)
        progress.done()
        progress.tell("[red]a[1].png: damaged")
        progress.done()
        progress.done()
    assert "predicting" in text.getvalue()
    assert "3/4" in text.getvalue()
    assert "segscape: [red]a[1].png: damaged" in text.getvalue()


def test_nothing_is_shown_unasked(monkeypatch):
    text = on_a_terminal(monkeypatch, patience=0.0)
    with PredictionProgress(1, shown=False) as progress:
        progress.tell("a.png: damaged")
        progress.done()
    assert text.getvalue() == ""
