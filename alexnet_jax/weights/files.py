"""Weights' files: there when they are read, whole when they are written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alexnet_jax.atomic_write import atomic_file
from alexnet_jax.disk_space import full_disk_reported
from alexnet_jax.errors import UserError


@contextmanager
def exported_file(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` when the writing is done.

    A link stays, and its file is written. A pipe or a device, as /dev/stdout may be, is refused:
    the renaming would put a file in its place.

    Raises:
        UserError: the folder is not there or takes no files, `path` is something else than a file,
            or the disk is full.
    """
    if path.is_dir():
        raise UserError(f"{path} cannot be written: it is a folder")
    if path.exists() and not path.is_file():
        raise UserError(f"{path} cannot be written: it is no regular file; give another name")
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise UserError(f"{path} cannot be written: there is no folder {path.parent}")
    try:
        with full_disk_reported(path.parent, path.name), atomic_file(path) as unfinished:
            yield unfinished
    except PermissionError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def require_file(path: Path) -> None:
    """Raise UserError unless `path` is a file that holds something."""
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    if not path.stat().st_size:
        raise UserError(f"{path} is empty")
