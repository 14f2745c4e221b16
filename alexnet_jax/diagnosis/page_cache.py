"""Removal of files from the page cache, to measure cold reads."""

import os
from collections.abc import Sequence
from pathlib import Path

_PROBED = 16  # Offsets of a file that are checked for being in memory.


def drop_from_memory(files: Sequence[Path]) -> str:
    """Drop `files` from the kernel's page cache.

    Returns:
        "", or why they are still cached. Caches below the kernel (of a disk, of the host of a
        virtual machine) cannot be dropped.
    """
    if not hasattr(os, "posix_fadvise") or not hasattr(os, "RWF_NOWAIT"):
        return "only Linux can be asked to forget files"
    try:
        kept = sum(_drop(file) for file in files)
    except OSError as error:
        return f"the file system does not do it: {error.strerror}"
    return f"{kept} of {len(files)} files stay in memory" if kept else ""


def _drop(file: Path) -> bool:
    """Drop a file's pages; return whether most of the probed ones are still cached."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # Dirty pages would stay.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        # Without this, each probe reads ahead.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        size = os.fstat(descriptor).st_size
        cached = [_is_cached(descriptor, size * part // _PROBED) for part in range(_PROBED)]
        return sum(cached) > _PROBED // 2  # A fast disk can answer some probes itself.
    finally:
        os.close(descriptor)


def _is_cached(descriptor: int, offset: int) -> bool:
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) > 0
    except BlockingIOError:  # The read would wait for the disk.
        return False
