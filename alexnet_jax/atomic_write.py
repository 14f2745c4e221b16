"""Files that are there whole or not at all, whenever the process dies or the disk fills."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` when the block ends without an error."""
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def atomic_write(path: Path, text: str) -> None:
    """Write `text` to `path`; until that is done, the file that was there stays."""
    with atomic_file(path) as unfinished:
        unfinished.write_text(text)
