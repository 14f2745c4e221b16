"""A disk that is too small, found before the work, or that fails in the middle of it."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alexnet_jax.errors import MachineError, UserError, explain_os_error

# Libraries in C++ and Rust raise errors of their own types, which only say it in words.
_FULL = {errno.ENOSPC: "No space left on device", errno.EDQUOT: "Disk quota exceeded"}
_FAILED = {errno.EIO: "Input/output error", errno.EROFS: "Read-only file system"}
_OS_ERROR = re.compile(r"\bOS error (\d+)", re.IGNORECASE)


def require_free_space(directory: Path, needed_bytes: int, what: str) -> None:
    """Refuse work that plainly cannot fit.

    Args:
        directory: an existing directory on the disk in question.
        needed_bytes: a lower bound of what the work takes at its peak.
        what: the work, for the message.

    Raises:
        UserError: fewer bytes are free.
    """
    free = shutil.disk_usage(directory).free
    if free < needed_bytes:
        raise UserError(
            f"{what} needs {needed_bytes / 1e6:,.1f} MB in {directory}, which has "
            f"{free / 1e6:,.1f} MB free; free some space or choose another disk"
        )


@contextmanager
def full_disk_reported(directory: Path, what: str) -> Iterator[None]:
    """Turn the many ways in which a disk that is full or fails shows itself into one line.

    Python raises OSError, often without a path; C++ libraries raise errors of their own that only
    say so in words. Wrap the writing itself, so that the free space is read before anything is
    cleaned up.

    Raises:
        MachineError: the disk is full, or fails.
        UserError: `directory` is closed to this user.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = disk_errno(error)
        if number is None:
            raise
        if number in _FULL:
            raise MachineError(
                f"disk full while writing {what}: {_what_is_left(directory)}; "
                "free some space or choose another disk, then run the same command again"
            ) from error
        known = error if isinstance(error, OSError) else OSError(number, str(error))
        raise explain_os_error(known, f"{what} in {directory}") from error


def disk_errno(error: BaseException) -> int | None:
    """Return the errno behind `error`, of whatever type; None where it is not the system's."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    named = _OS_ERROR.search(str(error))
    if named is not None:
        return int(named[1])
    known = (
        (_FULL | _FAILED).items() if isinstance(error, OSError | RuntimeError | ValueError) else ()
    )
    return next((number for number, words in known if words in str(error)), None)


def _what_is_left(directory: Path) -> str:
    # The folder may never have been made; its disk is that of the nearest one above it.
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    status = os.statvfs(there)
    if status.f_files and not status.f_favail:
        return f"{directory} has no inodes left, it holds too many files"
    return f"{directory} has {status.f_bavail * status.f_frsize / 1e6:,.1f} MB free"
