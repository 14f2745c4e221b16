"""A disk that is too small, found before the work, or full, found in the middle of it."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alexnet_jax.errors import UserError

_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded")


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
    """Turn the many ways in which a full disk shows itself into one UserError.

    Python raises OSError; ArrayRecord's C++ writer a RuntimeError that only says so in words.
    Wrap the writing itself, so that the free space is read before anything is cleaned up.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if not says_disk_full(error):
            raise
        free = shutil.disk_usage(directory).free
        raise UserError(
            f"disk full while writing {what}: {directory} has {free / 1e6:,.1f} MB free; "
            "free some space or choose another disk, then run the same command again"
        ) from error


def says_disk_full(error: BaseException) -> bool:
    """Say whether `error`, of whatever type, is a full disk's."""
    if isinstance(error, OSError) and error.errno in _FULL_ERRNOS:
        return True
    return any(text in str(error) for text in _FULL_TEXTS)
