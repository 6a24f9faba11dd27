"""Files and folders that appear whole or not at all.

A result is built under a temporary name in the same folder, synced to the disk and renamed. A full
disk, a kill or a loss of power leaves the old one. Temporary names begin with a dot, so that nobody
takes them for results, and carry host and process: what a killed process left is swept away by the
next one that writes there.

A folder cannot be renamed over another. The old one is moved to `NAME.old`, the new one to `NAME`,
then the old one is removed: at every instant `NAME` or `NAME.old` is complete, and `recover` tells
which. The next `atomic_folder` finishes what a killed one began.
"""

import errno
import os
import platform
import secrets
import shutil
import zlib
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from segscape.structures import OutputError, SegscapeError

_MARK = ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM)
_UNSYNCABLE = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)


@contextmanager
def atomic_file(path: str | Path) -> Generator[Path, None, None]:
    """Yield a temporary path; when the context ends well, it becomes the file.

    Missing parent folders are made; a link is followed. The temporary name keeps the suffix.

    Raises:
        OutputError: when the file cannot be written; a file that was there before is untouched.
    """
    path = Path(os.path.realpath(path))
    temporary = _temporary_name(path)
    with _telling(path, temporary):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(path)
            if path.is_dir():
                raise OutputError(f"{path}: is a folder, a file was to be written: choose a name")
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Generator[Path, None, None]:
    """Yield an empty temporary folder; when the context ends well, it becomes the folder.

    A folder of that name is replaced as a whole. One process at a time may write a folder.

    Raises:
        OutputError: when the folder cannot be written; one that was there before is untouched.
    """
    path = Path(os.path.realpath(path))
    temporary, old = _temporary_name(path), _old_name(path)
    with _telling(path, temporary):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(path)
            _finish_earlier(path, old)
            if path.exists() and not path.is_dir():
                raise OutputError(f"{path}: is a file, a folder was to be written: choose a name")
            temporary.mkdir()
            yield temporary
            _sync_tree(temporary)
            _swap(temporary, path, old)
        finally:
            if temporary.exists():
                shutil.rmtree(temporary, ignore_errors=True)


def recover(path: str | Path) -> Path:
    """The complete folder to read: `path`, or `path.old` when a replacement was killed midway.

    Nothing is changed; a path that exists in neither form is returned as it is.
    """
    path = Path(path)
    old = _old_name(path)
    return old if old.is_dir() and not path.exists() else path


def _swap(temporary: Path, path: Path, old: Path) -> None:
    existed = path.exists()
    if existed:
        path.replace(old)
    try:
        temporary.replace(path)
    except BaseException:
        if existed:
            old.replace(path)
        raise
    _sync_folder(path.parent)
    if existed:
        _discard(old)


def _finish_earlier(path: Path, old: Path) -> None:
    if not old.is_dir():
        return
    if path.exists():
        _discard(old)
    else:
        old.replace(path)


def _discard(old: Path) -> None:
    # Renamed before it is emptied: whatever is called `.old` is complete.
    doomed = _temporary_name(old)
    old.replace(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _old_name(path: Path) -> Path:
    path = Path(os.path.abspath(path))  # noqa: PTH100 - `.` has no name, and links stay links
    return path.with_name(path.name + ".old")


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _stem(path: Path) -> str:
    # A sum instead of the name: the name may already be as long as the file system allows.
    return f"{_MARK}-{zlib.crc32(path.name.encode('utf-8', 'surrogateescape')):08x}-{_host()}-"


def _temporary_name(path: Path) -> Path:
    suffix = path.suffix if len(path.suffix) <= 16 else ""
    return path.with_name(f"{_stem(path)}{os.getpid()}-{secrets.token_hex(4)}{suffix}")


def _sweep(path: Path) -> None:
    """Remove what killed processes of this machine left of this file or folder."""
    for stem in (_stem(path), _stem(_old_name(path))):
        for left in path.parent.glob(f"{stem}*"):
            process = left.name.removeprefix(stem).partition("-")[0]
            if process.isdigit() and not _is_alive(int(process)):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno in _UNSYNCABLE:
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot sync folders; the rename has happened all the same.
        if error.errno not in _UNSYNCABLE:
            raise
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            _sync(Path(place, name))
        _sync_folder(Path(place))


@contextmanager
def _telling(path: Path, temporary: Path) -> Generator[None, None, None]:
    """Say in one line why something could not be written."""
    try:
        yield
    except SegscapeError:
        raise
    except OSError as error:
        raise OutputError(_reason(path, temporary, error.errno, error.strerror)) from error
    except Exception as error:
        # Native writers (safetensors, torch) wrap the system's error in their own.
        for number in _FULL:
            if os.strerror(number) in str(error):
                raise OutputError(_reason(path, temporary, number, None)) from error
        raise


def _reason(path: Path, temporary: Path, number: int | None, words: str | None) -> str:
    if number in _FULL:
        return f"{path}: {_full_disk(path)}: free some space or write elsewhere; {_KEPT}"
    if number == errno.EROFS:
        return f"{path}: the disk is read-only: write elsewhere"
    if number in _DENIED:
        return f"{path}: no permission to write in {path.parent}: change it or write elsewhere"
    if number in (errno.EEXIST, errno.ENOTDIR):
        return f"{path}: {path.parent} is not a folder: write elsewhere"
    if number == errno.ENAMETOOLONG:
        return f"{path}: the name is too long for this disk: choose a shorter one"
    if number == errno.ENOENT and not temporary.exists():
        return f"{path}: nothing was written, its folder may take no files: write elsewhere"
    return f"{path}: cannot be written ({words or 'unknown reason'}); {_KEPT}"


_KEPT = "what was there before is untouched"


def _full_disk(path: Path) -> str:
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return "disk full"
    return f"disk full, or a limit on file sizes reached ({free / 2**20:,.0f} MiB free)"
