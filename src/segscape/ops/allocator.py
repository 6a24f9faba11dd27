"""The C library's memory: kept between steps, or given back."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_TWO_GIB = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep large blocks it frees, for the next step needs the same ones.

    By default glibc gives every block beyond some megabytes back to the kernel, which hands it out
    again as zeroed pages: a quarter of a training step on a CPU is spent there. Memory in use does
    not grow, but what was freed shows as in use until the process ends.

    Returns:
        Whether the C library understood; on another than glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _TWO_GIB)) and bool(mallopt(_TRIM_THRESHOLD, _TWO_GIB))


def return_freed_memory() -> bool:
    """Give what this process has freed back to the system: much of it, after work on many weights.

    Returns:
        Whether the C library understood; on another than glibc nothing happens.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return False
    return True
