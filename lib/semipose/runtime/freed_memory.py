"""Keep freed memory in the process, on Linux with glibc.

A training step on a CPU allocates and frees the same gigabytes of activations each time. By default glibc takes blocks
of that size from the kernel and gives them back at once, and the kernel then clears every page again: a seventh of the
time of a ResNet-18 step. If the process keeps them, they are used again without that. The process then stays as large
as its largest step.
"""

import ctypes
import platform
from contextlib import suppress

# mallopt's parameters, see its manual page: (number, glibc's default, value that keeps memory)
TRIM_THRESHOLD = (-1, 128 * 1024, 2**31 - 1)
TOP_PAD = (-2, 128 * 1024, 256 * 1024 * 1024)
MMAP_MAX = (-4, 65536, 0)


def keep_freed_memory(keep: bool = True) -> bool:
    """Let this process, and those forked from it, keep what they free; False restores glibc's defaults.

    Returns:
        whether it worked. Elsewhere (musl, macOS, Windows) nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for number, usual, kept in (TRIM_THRESHOLD, TOP_PAD, MMAP_MAX):
            mallopt(number, kept if keep else usual)
        return True
    return False
