"""Making files cold: what a first epoch meets, and every epoch of data larger than memory."""

import os
from collections.abc import Sequence
from pathlib import Path

_PROBED = 16  # Places in a file at which we look whether it is still in memory.


def drop_from_memory(files: Sequence[Path]) -> str:
    """Ask the kernel to forget the contents of `files`.

    Returns:
        "", or why they are not cold now. What keeps copies of its own below the kernel (a disk's
        cache, the host of a virtual machine) cannot be asked.
    """
    if not hasattr(os, "posix_fadvise") or not hasattr(os, "RWF_NOWAIT"):
        return "only Linux can be asked to forget files"
    try:
        kept = sum(_forget(file) for file in files)
    except OSError as error:
        return f"the file system does not do it: {error.strerror}"
    return f"{kept} of {len(files)} files stay in memory" if kept else ""


def _forget(file: Path) -> bool:
    """Drop a file's pages; say whether most of those that we look at are still there."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # Pages that have not been written yet would stay.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        # Or each look would have the kernel read the pages after it.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        size = os.fstat(descriptor).st_size
        cached = [_is_cached(descriptor, size * part // _PROBED) for part in range(_PROBED)]
        return sum(cached) > _PROBED // 2  # A quick disk answers a look or two itself.
    finally:
        os.close(descriptor)


def _is_cached(descriptor: int, offset: int) -> bool:
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) > 0
    except BlockingIOError:  # It would have to wait for the disk.
        return False
