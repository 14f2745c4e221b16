"""Comparing the files of a pixel store with the checksums in its manifest."""

import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from alexnet_jax.data.pixel_store.manifest import File
from alexnet_jax.system.bounded_map import bounded_map
from alexnet_jax.system.progress import Progress

_BYTES_AT_ONCE = 2**22


def find_damage(directory: Path, files: Sequence[File]) -> list[str]:
    """Read `files` on all cores; return the name and fault of each that is not as written."""
    bad = []
    with Progress(f"verifying {directory}", sum(file.bytes for file in files), "B") as progress:
        faults = bounded_map(partial(_find_fault, directory), files)
        for file, fault in zip(files, faults, strict=True):
            progress.advance(file.bytes)
            if fault:
                bad.append(f"{file.name} ({fault})")
    return bad


def _find_fault(directory: Path, file: File) -> str | None:
    checksum, length = 0, 0
    try:
        with (directory / file.name).open("rb", buffering=0) as stream:
            while part := stream.read(_BYTES_AT_ONCE):
                checksum = zlib.crc32(part, checksum)
                length += len(part)
    except OSError as error:
        return str(error.strerror)
    if length != file.bytes:
        return f"{length:,} bytes instead of {file.bytes:,}"
    if checksum != file.crc32:
        return f"checksum {checksum:08x} instead of {file.crc32:08x}"
    return None
