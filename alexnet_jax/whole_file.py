"""Text files that are there whole or not at all, whenever the process dies or the disk fills."""

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path`; until that is done, the file that was there stays."""
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        unfinished.write_text(text)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
