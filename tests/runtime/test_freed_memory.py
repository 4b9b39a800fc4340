"""Freed memory is used again, instead of being taken from the kernel anew."""

import platform
import subprocess
import sys

import pytest

from semipose.runtime.freed_memory import keep_freed_memory

PAGES_OF_ALL_ROUNDS = """
import resource, torch
from semipose.runtime.freed_memory import keep_freed_memory
keep_freed_memory({keep})
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work = lambda: [torch.ones(8_000_000) for _ in range(2)]  # 32 MB each
[work() for _ in range(15)]
before = faults()
[work() for _ in range(5)]
print(faults() - before)
"""


def page_faults(keep: bool) -> int:
    """Pages that the kernel hands out in a process of its own."""
    code = PAGES_OF_ALL_ROUNDS.format(keep=keep)
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc")
def test_freed_memory_is_kept():
    usual, kept = page_faults(False), page_faults(True)
    assert usual > 1000 and kept < usual / 100


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
