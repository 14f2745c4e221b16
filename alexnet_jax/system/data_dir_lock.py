"""The lock of a data_dir: one process at a time makes data sets, stores and statistics."""

from pathlib import Path

from alexnet_jax.system.folder_lock import FolderLock


def data_dir_lock(data_dir: Path) -> FolderLock:
    """Return the lock of `data_dir`, not yet acquired."""
    path = data_dir / ".prepare.lock"
    return FolderLock(
        path,
        held=f"another prepare is at work in {data_dir} and holds {path}",
        way_out="wait for it or choose another --data_dir",
    )
