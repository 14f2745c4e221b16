"""Writing past the page cache: from our memory to the disk, where the file system can do that.

What is written once and is larger than memory would drive everything else out of the cache; and
memory for the cache costs more than the copy into it where a hypervisor has to find it first.
"""

import errno
import os
from pathlib import Path

import numpy as np

BLOCK_BYTES = 4096  # Places, lengths and addresses that are multiples of it suit every disk.
_DIRECT = getattr(os, "O_DIRECT", 0)  # Linux has it.


def empty_blocks(shape: tuple[int, ...]) -> np.ndarray:
    """Return uninitialised uint8 of `shape`, its first byte where direct writing can begin."""
    count = int(np.prod(shape))
    memory = np.empty(count + BLOCK_BYTES, np.uint8)
    begin = -memory.ctypes.data % BLOCK_BYTES
    return memory[begin : begin + count].reshape(shape)


def write_at(path: Path, offset: int, array: np.ndarray) -> None:
    """Write the bytes of a contiguous array into a file that is there, from `offset` on.

    As usual, through the cache, where the file system cannot or the numbers do not suit. Write one
    file from one thread: the cache's page of a usual write must not hold what a direct one changes.
    """
    try:
        _write(path, offset, array, _DIRECT)
    except OSError as error:
        if error.errno != errno.EINVAL:  # The kernel's answer to a direct write that cannot be.
            raise
        _write(path, offset, array, 0)


def _write(path: Path, offset: int, array: np.ndarray, flags: int) -> None:
    file = os.open(path, os.O_WRONLY | flags)
    try:
        memory, done = array.reshape(-1).view(np.uint8).data, 0
        while done < len(memory):
            done += os.pwrite(file, memory[done:], offset + done)
    finally:
        os.close(file)
