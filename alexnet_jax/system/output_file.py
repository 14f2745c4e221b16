"""Files that a user names for a result: checked before the work, complete or absent after it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from alexnet_jax.errors import UserError
from alexnet_jax.system.atomic_write import atomic_file
from alexnet_jax.system.disk_space import full_disk_reported


def check_output(path: Path, suffixes: Sequence[str] = ()) -> None:
    """Raise UserError if `path` cannot be written, or has none of `suffixes`.

    A pipe or a device, as /dev/stdout may be, is refused: `output_file` would replace it.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        raise UserError(f"{path} should end in {' or '.join(suffixes)}")
    if path.is_dir():
        raise UserError(f"{path} cannot be written: it is a folder")
    if path.exists() and not path.is_file():
        raise UserError(f"{path} cannot be written: it is no regular file; give another name")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise UserError(f"{path} cannot be written: there is no folder {folder}")


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to, and rename it to `path` at the end.

    A link is kept, and its target is written. Raises UserError as `check_output`, and if the disk
    is full.
    """
    check_output(path)
    path = Path(os.path.realpath(path))
    try:
        with full_disk_reported(path.parent, path.name), atomic_file(path) as unfinished:
            yield unfinished
    except PermissionError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
