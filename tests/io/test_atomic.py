import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from segscape.io.atomic import atomic_file, atomic_folder, recover
from segscape.structures import OutputError

_SOURCES = str(Path(__file__).parents[2] / "src")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path) -> None:
    with atomic_file(path) as temporary:
        temporary.write_bytes(b"new")


def write_half_and_fail(path: Path, error: BaseException) -> None:
    with atomic_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


def test_file_appears_whole(tmp_path):
    path = tmp_path / "new" / "deep" / "result.bin"
    with atomic_file(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".bin"
        assert temporary.name.startswith(".")
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["result.bin"]


def test_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "result"
    path.write_bytes(b"old")
    for error in (KeyError("stop"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            write_half_and_fail(path, error)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["result"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk full"),
        (errno.EDQUOT, "disk full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EIO, "cannot be written"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "replace", "write"])
def test_what_the_disk_says(number, words, call, tmp_path, monkeypatch):
    path = tmp_path / "result"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    if call == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    elif call == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    problem = OSError(number, os.strerror(number))
    attempt = partial(write_half_and_fail, error=problem) if call == "write" else write
    with pytest.raises(OutputError, match=words) as caught:
        attempt(path)
    monkeypatch.undo()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["result"]


def test_full_disk_for_real(tmp_path):
    path, folder = tmp_path / "result", tmp_path / "checkpoint"
    path.write_bytes(b"old")
    folder.mkdir()
    (folder / "weights").write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        with pytest.raises(OutputError, match="disk full"), atomic_file(path) as temporary:
            temporary.write_bytes(b"x" * 10_000)
        with pytest.raises(OutputError, match="disk full"), atomic_folder(folder) as temporary:
            (temporary / "weights").write_bytes(b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert (folder / "weights").read_bytes() == b"old"
    assert names(tmp_path) == ["checkpoint", "result"]


def test_native_writers_errors_are_told_too(tmp_path):
    error = RuntimeError("I/O error: No space left on device (os error 28)")
    with pytest.raises(OutputError, match="disk full"):
        write_half_and_fail(tmp_path / "result", error)


def test_places_of_the_wrong_kind(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="is a folder"), atomic_file(tmp_path / "folder"):
        pass
    with pytest.raises(OutputError, match="is a file"), atomic_folder(tmp_path / "file"):
        pass
    with (
        pytest.raises(OutputError, match=r"file is not a folder: write elsewhere"),
        atomic_file(tmp_path / "file" / "x"),
    ):
        pass
    with pytest.raises(OutputError, match="nothing was written"), atomic_file(tmp_path / "empty"):
        pass
    with pytest.raises(OutputError, match="too long"), atomic_file(tmp_path / ("n" * 300)) as place:
        place.write_bytes(b"x")
    assert names(tmp_path) == ["file", "folder"]


def test_longest_name_and_link(tmp_path):
    path = tmp_path / ("n" * 255)
    with atomic_file(path) as temporary:
        temporary.write_bytes(b"x")
    assert path.read_bytes() == b"x"
    link = tmp_path / "link"
    link.symlink_to(path)
    with atomic_file(link) as temporary:
        temporary.write_bytes(b"y")
    assert link.is_symlink()
    assert path.read_bytes() == b"y"


def test_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "best"
    for turn in ("one", "two"):
        with atomic_folder(path) as temporary:
            (temporary / "inner").mkdir()
            (temporary / "inner" / turn).write_text(turn)
            assert recover(path) == path
        assert [p.name for p in (path / "inner").iterdir()] == [turn]
        assert names(tmp_path) == ["best"]
    with pytest.raises(KeyError), atomic_folder(path) as temporary:
        raise KeyError(temporary.mkdir(parents=True, exist_ok=True))
    assert [p.name for p in path.iterdir()] == ["inner"]
    assert names(tmp_path) == ["best"]


def test_failing_swap_brings_the_old_folder_back(tmp_path, monkeypatch):
    path = tmp_path / "best"
    path.mkdir()
    (path / "old").write_bytes(b"")
    whole = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if self.name.startswith(".part") and Path(target).name == "best":
            raise OSError(errno.EIO, "broken")
        return whole(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match="broken"), atomic_folder(path) as temporary:
        (temporary / "new").write_bytes(b"")
    assert names(tmp_path) == ["best"]
    assert names(path) == ["old"]


def test_recover_between_the_two_renames(tmp_path):
    path, old = tmp_path / "best", tmp_path / "best.old"
    assert recover(path) == path
    old.mkdir()
    (old / "weights").write_bytes(b"old")
    assert recover(path) == old
    # The next writer first puts the old one back, so that an error leaves it in place.
    with pytest.raises(KeyError), atomic_folder(path):
        raise KeyError
    assert (path / "weights").read_bytes() == b"old"
    assert names(tmp_path) == ["best"]


_LOOP = """
import os, sys
from pathlib import Path
from segscape.io.atomic import atomic_file, atomic_folder
file, folder = Path(sys.argv[1], "result"), Path(sys.argv[1], "best")

def write_for_ever():
    for turn in range(10**6):
        data = bytes([turn % 256]) * 50_000
        with atomic_file(file) as temporary:
            temporary.write_bytes(data)
        with atomic_folder(folder) as temporary:
            for name in ("a", "b", "c"):
                (temporary / name).write_bytes(data)

for _ in sys.stdin:
    # One slow start of Python, then a child for each kill.
    child = os.fork()
    if not child:
        write_for_ever()
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


def test_killed_at_random_instants(tmp_path):
    generator = random.Random(0)
    parent = subprocess.Popen(
        [sys.executable, "-c", _LOOP, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": _SOURCES},
        bufsize=0,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent:
        for _ in range(12):
            parent.stdin.write(b"go\n")
            child = int(parent.stdout.readline())
            time.sleep(0.15 + generator.random() * 0.1)
            os.kill(child, signal.SIGKILL)
            assert parent.stdout.readline() == b"gone\n"
            data = (tmp_path / "result").read_bytes()
            assert len(data) == 50_000
            assert len(set(data)) == 1
            best = recover(tmp_path / "best")
            assert names(best) == ["a", "b", "c"]
            contents = {(best / name).read_bytes() for name in names(best)}
            assert len(contents) == 1
            assert len(contents.pop()) == 50_000
        parent.stdin.close()
    write(tmp_path / "result")
    with atomic_folder(tmp_path / "best"):
        pass
    # What the killed left is swept away.
    assert names(tmp_path) == ["best", "result"]


def test_temporaries_of_living_processes_stay(tmp_path):
    with atomic_file(tmp_path / "result") as first:
        first.write_bytes(b"1")
        with atomic_file(tmp_path / "result") as second:
            second.write_bytes(b"2")
        assert first.exists()
    assert (tmp_path / "result").read_bytes() == b"1"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_native_writer_out_of_space_is_one_line(tmp_path, number):
    """As safetensors says it: its own error around the words of the system's."""
    with (
        pytest.raises(OutputError, match="disk full, or a limit on file sizes"),
        atomic_folder(tmp_path / "model"),
    ):
        raise RuntimeError(f"I/O error: {os.strerror(number)} (os error {number})")
