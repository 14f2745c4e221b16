"""One process at a time makes data sets, stores and statistics in a data_dir."""

from pathlib import Path

from alexnet_jax.folder_lock import FolderLock

LOCK_NAME = ".prepare.lock"


def data_dir_lock(data_dir: Path) -> FolderLock:
    """Return the lock of `data_dir`, not yet taken."""
    path = data_dir / LOCK_NAME
    return FolderLock(
        path,
        held=f"another prepare is at work in {data_dir} and holds {path}",
        way_out="wait for it or choose another --data_dir",
    )
