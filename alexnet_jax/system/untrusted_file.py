"""Reading of files that may be damaged, huge, or no files at all."""

import os
import stat
from pathlib import Path

import numpy as np

_MOST_BYTES = 1 << 28  # Unpacked: a mean image of 4,096 pixels a side.


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return a file's bytes; does not wait for a pipe, nor read a device without end.

    Raises:
        OSError: the file cannot be opened or read.
        ValueError: it is no regular file, or is larger than `max_bytes`.
    """
    # With O_NONBLOCK, opening a pipe that has no writer returns at once.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        if status.st_size > max_bytes:
            raise ValueError(
                f"it has {status.st_size / 1e6:,.0f} MB, more than the {max_bytes / 1e6:,.0f} MB "
                "that are read"
            )
        return file.read(max_bytes)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return all arrays of a .npz file, by name, without unpickling.

    Raises:
        ValueError: the file cannot be read, or its directory says that it unpacks to too much.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            size = sum(member.file_size for member in arrays.zip.infolist())
            if size > _MOST_BYTES:
                raise ValueError(f"it unpacks to {size:,} bytes, more than {_MOST_BYTES:,}")
            return dict(arrays)
    except Exception as error:  # zipfile's, zlib's, NumPy's header parser's, MemoryError, ...
        raise ValueError(str(error) or type(error).__name__) from error
