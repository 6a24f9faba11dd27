"""What is said while kernels are compiled."""

import subprocess
import sys

from segscape.cli.patience import COMPILING

HEAD = """
import sys
sys.path.insert(0, {folder!r})
from rich.console import Console
from kernels import thrice, twice
from segscape.cli.patience import compiling_told
"""
KERNELS = """
import numba


@numba.njit(cache=True)
def twice(x):
    return 2 * x


@numba.njit(cache=True)
def thrice(x):
    return 3 * x
"""


def test_compiling_is_told_once_inside_and_never_for_kernels_from_the_disk(tmp_path):
    (tmp_path / "kernels.py").write_text(KERNELS)
    head = HEAD.format(folder=str(tmp_path))
    block = "with compiling_told(Console(stderr=True)): print(twice(2), thrice(2), twice(2.5))\n"
    for times in (1, 0):
        done = _run(head + block)
        assert done.stderr.count(COMPILING) == times
        assert done.stdout == "4 6 5.0\n"
    # The listener is gone after the block.
    (tmp_path / "kernels.py").write_text(KERNELS.replace("2 * x", "x + x"))
    done = _run(head + "with compiling_told(Console(stderr=True)): pass\nprint(twice(2))")
    assert (done.stdout, done.stderr) == ("4\n", "")


def _run(words):
    return subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
