"""Writing to disk: past the page cache (O_DIRECT), where the file system supports it.

A store may be larger than memory and would evict everything else from the cache.
"""

import errno
import os
from pathlib import Path

import numpy as np

BLOCK_BYTES = 4096  # Offsets, lengths and addresses that are multiples of this suit every disk.
_DIRECT = getattr(os, "O_DIRECT", 0)  # Linux only.


def write_at(path: Path, offset: int, array: np.ndarray) -> None:
    """Write the bytes of a contiguous array into an existing file at `offset`.

    The write goes through the cache if the file system, the address, `offset` or the length does
    not allow direct writing. Write each file from one thread only: the page cache must not hold
    what a direct write changes.
    """
    try:
        _write(path, offset, array, _DIRECT)
    except OSError as error:
        if error.errno != errno.EINVAL:  # The kernel's code for a direct write it cannot do.
            raise
        _write(path, offset, array, 0)


def sync(path: Path) -> None:
    """Wait until a file's content, or a directory's entries, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, offset: int, array: np.ndarray, flags: int) -> None:
    file = os.open(path, os.O_WRONLY | flags)
    try:
        memory, done = array.reshape(-1).view(np.uint8).data, 0
        while done < len(memory):
            done += os.pwrite(file, memory[done:], offset + done)
    finally:
        os.close(file)
