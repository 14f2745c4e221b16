"""Reading a file that a user names, whatever it turns out to be."""

import os
import stat
from pathlib import Path


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return a file's bytes; a pipe is not waited for, a device not read without end.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: it is no regular file, or is larger than `max_bytes`.
    """
    # O_NONBLOCK: opening a pipe that nobody writes to returns at once. Files take no notice of it.
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
