import pytest

from segscape.io.json_files import read_json, write_json
from segscape.structures import CheckpointError, DatasetError, OutputError


def test_round_trip(tmp_path):
    path = tmp_path / "out.json"
    write_json(path, {"a": [1, 2.5, None, True], "ü": ("x",), "bad": float("nan")})
    assert read_json(path) == {"a": [1, 2.5, None, True], "ü": ["x"], "bad": None}


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "out.json"
    with pytest.raises(DatasetError, match="no such file"):
        read_json(path)
    path.write_text('{"a": ')
    with pytest.raises(CheckpointError, match=r"out\.json: is not valid JSON"):
        read_json(path, error=CheckpointError)
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(DatasetError, match="not valid JSON"):
        read_json(path)
    path.write_text("[" * 200_000)
    with pytest.raises(DatasetError, match="not valid JSON"):
        read_json(path)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_json(tmp_path)
    with pytest.raises(OutputError, match="cannot be written as JSON"):
        write_json(tmp_path / "new.json", {"a": object()})
    assert not (tmp_path / "new.json").exists()
