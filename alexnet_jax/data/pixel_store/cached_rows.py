"""Copying rows from memory-mapped files if they are in the page cache, in compiled code.

A row that is not cached is left out. To read it through a map would cost one page fault after
another, and a failing disk would end the process.
"""

import os
from typing import Any

import numpy as np
from numba import types

from alexnet_jax.data.decoding.compiled import compiled

# Functions of the C library; addresses and sizes are plain integers.
_copy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.intp))
_read: Any = types.ExternalFunction(
    "preadv2", types.intp(types.int32, types.intp, types.int32, types.int64, types.int32)
)


@compiled
def copy_cached_rows(
    files: np.ndarray, maps: np.ndarray, offsets: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Fill the rows whose bytes are in the page cache; return which, bool [n]. Linux only.

    Args:
        files: Descriptors of files, int32 [n].
        maps: Addresses at which these files are mapped, int64 [n].
        offsets: Offsets of the rows in the files, int64 [n]; the files must be long enough.
        rows: Rows to fill, uint8 [n, ...], contiguous.
    """
    target, row_bytes = np.intp(rows.ctypes.data), rows.nbytes // max(len(files), 1)
    copied = np.zeros(len(files), np.bool_)
    byte = np.empty(1, np.uint8)
    to_byte = np.empty(2, np.intp)  # An iovec of C: address and length.
    to_byte[0], to_byte[1] = byte.ctypes.data, 1
    for row in range(len(files)):
        # Read-ahead fetches pages in order, so if the last page is cached, the others are. If one
        # is missing all the same, the copy fetches it: correct, only slower.
        last = offsets[row] + row_bytes - 1
        if _read(files[row], to_byte.ctypes.data, 1, last, os.RWF_NOWAIT) == 1:
            _copy(target + row * row_bytes, maps[row] + offsets[row], row_bytes)
            copied[row] = True
    return copied
