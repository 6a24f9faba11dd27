"""The journal: appended, cut back, read in spite of a torn end."""

import pytest

from segscape.structures import OutputError
from segscape.training.journal import Journal, read_journal


def test_append_cut_and_go_on(tmp_path):
    with Journal(tmp_path) as journal:
        journal.append("start", 0, {"steps": 3}, {})
        journal.append("step", 1, {"loss": 0.1 + 0.2}, {"seconds": 1.0})
        kept = journal.sync()
        journal.append("step", 2, {"loss": 5.0}, {})
    with Journal(tmp_path, keep_bytes=kept) as journal:
        journal.append("step", 2, {"loss": 6.0}, {})
    records = read_journal(tmp_path)
    assert [(r["kind"], r["step"]) for r in records] == [("start", 0), ("step", 1), ("step", 2)]
    assert [r["loss"] for r in records[1:]] == [0.30000000000000004, 6.0]
    assert records[1]["time"] == {"seconds": 1.0}


def test_numbers_that_are_not_finite_are_null(tmp_path):
    with Journal(tmp_path) as journal:
        journal.append("evaluation", 1, {"iou": {"sky": float("nan")}, "x": [float("inf")]}, {})
    assert read_journal(tmp_path)[0]["iou"] == {"sky": None}
    assert read_journal(tmp_path)[0]["x"] == [None]


def test_every_torn_end_is_left_out(tmp_path):
    with Journal(tmp_path) as journal:
        journal.append("step", 1, {"loss": 1.0}, {})
        first = journal.sync()
        journal.append("step", 2, {"loss": 2.0}, {})
    whole = (tmp_path / "journal.jsonl").read_bytes()
    for length in range(first, len(whole) - 1):
        (tmp_path / "journal.jsonl").write_bytes(whole[:length])
        assert [r["step"] for r in read_journal(tmp_path)] == [1]


def test_damage_in_the_middle_and_absence_are_refused(tmp_path):
    (tmp_path / "journal.jsonl").write_bytes(b'{"kind": \n{"kind": "end"}\n')
    with pytest.raises(OutputError, match="line 1 is damaged"):
        read_journal(tmp_path)
    with pytest.raises(OutputError, match="segscape train"):
        read_journal(tmp_path / "elsewhere")


def test_a_full_disk_is_one_line():
    from pathlib import Path

    class Full(Journal):
        def __init__(self) -> None:
            self.path = Path("journal.jsonl")
            self._file = Path("/dev/full").open("ab")  # noqa: SIM115

    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    # Closing, too, would try to write what the disk refused.
    with pytest.raises(OutputError, match=r"No space left.*--resume"), Full() as journal:
        journal.append("step", 1, {}, {})
