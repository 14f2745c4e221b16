"""Memory in large pages, which a process has to ask for before it begins."""

import os
import sys
from contextlib import suppress
from pathlib import Path

_TUNABLES = "GLIBC_TUNABLES"
_MODE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def restart_with_huge_pages() -> None:
    """Start this program anew so that glibc asks Linux for large pages, unless it does.

    A step on CPUs takes its memory from Linux as a whole and gives it back, and Linux clears it
    page by page; with pages of 2 MiB in place of 4 KiB a step of `original`, batch 32, takes a
    seventh less time. Where Linux gives large pages unasked, or gives none, there is nothing to do;
    settings of the user's own for glibc are left alone.
    """
    if _TUNABLES in os.environ or not _MODE.is_file() or "[madvise]" not in _MODE.read_text():
        return
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None where it was closed from the start.
            stream.flush()
    with suppress(OSError):  # Without them it is slower, and no reason to stop.
        os.execve(sys.executable, sys.orig_argv, os.environ | {_TUNABLES: "glibc.malloc.hugetlb=1"})
