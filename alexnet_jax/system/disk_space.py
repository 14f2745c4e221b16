"""Disks that are too small for the work, become full, or fail."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alexnet_jax.errors import MachineError, UserError, explain_os_error

# Libraries in C++ and Rust raise errors of their own types, with only these words.
_FULL = {errno.ENOSPC: "No space left on device", errno.EDQUOT: "Disk quota exceeded"}
_WORDS = _FULL | {errno.EIO: "Input/output error", errno.EROFS: "Read-only file system"}
_OS_ERROR = re.compile(r"\bOS error (\d+)", re.IGNORECASE)


def require_free_space(directory: Path, needed_bytes: int, what: str) -> None:
    """Raise UserError if the disk of an existing directory has less space than `what` needs."""
    free = shutil.disk_usage(directory).free
    if free < needed_bytes:
        raise UserError(
            f"{what} needs {needed_bytes / 1e6:,.1f} MB in {directory}, which has "
            f"{free / 1e6:,.1f} MB free; free some space or choose another disk"
        )


@contextmanager
def full_disk_reported(directory: Path, what: str) -> Iterator[None]:
    """Turn any error of a disk that is full or fails into one line.

    Wrap only the writing, so that the free space is read before any cleaning up.

    Raises:
        MachineError: the disk is full, or fails.
        UserError: the directory is not accessible.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = _find_errno(error)
        if number is None:
            raise
        if number in _FULL:
            raise MachineError(
                f"disk full while writing {what}: {_what_is_left(directory)}; "
                "free some space or choose another disk, then run the same command again"
            ) from error
        known = error if isinstance(error, OSError) else OSError(number, str(error))
        raise explain_os_error(known, f"{what} in {directory}") from error


def _find_errno(error: Exception) -> int | None:
    """Return the errno behind an error of any type; None if it is not the system's."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if named := _OS_ERROR.search(str(error)):
        return int(named[1])
    if not isinstance(error, OSError | RuntimeError | ValueError):
        return None
    return next((number for number, words in _WORDS.items() if words in str(error)), None)


def _what_is_left(directory: Path) -> str:
    # The directory may not exist yet; its disk is that of its nearest parent.
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    status = os.statvfs(there)
    if status.f_files and not status.f_favail:
        return f"{directory} has no inodes left, it holds too many files"
    return f"{directory} has {status.f_bavail * status.f_frsize / 1e6:,.1f} MB free"
