"""Files that are no weights are refused in one line, whatever torch says of them."""

from pathlib import Path

import pytest
import torch

from segscape.encoders.weight_files import read_weights
from segscape.structures import CheckpointError


@pytest.mark.parametrize(
    "content",
    [
        b"hello",  # torch: KeyError
        b"",  # EOFError
        b"a.",  # IndexError
        b"r",  # struct.error
        b"U\xdcb\xb7",  # UnicodeDecodeError
        b"PK\x03\x04",  # RuntimeError
        b"<!DOCTYPE html><html>",  # UnpicklingError
    ],
)
def test_what_is_no_weights_file(tmp_path: Path, content: bytes):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as tensors") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def test_a_state_dict_below_a_key(tmp_path: Path):
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 3, "state_dict": {"module.x": torch.ones(2)}}, path)
    assert torch.equal(read_weights(path)["x"], torch.ones(2))
