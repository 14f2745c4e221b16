"""Atomic writes: a file is complete or absent, even if the process dies or the disk is full."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to `path` when the block succeeds."""
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def atomic_write(path: Path, text: str) -> None:
    """Write `text` to `path`; an existing file stays until the new one is complete."""
    with atomic_file(path) as unfinished:
        unfinished.write_text(text)
