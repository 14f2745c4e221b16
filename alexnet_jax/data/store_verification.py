"""Reading a whole pixel store to see whether every byte is still as it was written."""

import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from alexnet_jax.data.bounded_map import bounded_map
from alexnet_jax.data.store_manifest import File, Manifest, store_command
from alexnet_jax.errors import UserError

_BYTES_AT_ONCE = 2**22


def verify_store(
    directory: Path, manifest: Manifest, progress: Callable[[int], None] = lambda amount: None
) -> int:
    """Compare the checksum of every file with the manifest's, on all cores.

    Args:
        directory: of the store.
        manifest: its own.
        progress: told how many more bytes have been read.

    Returns:
        How many files there are.

    Raises:
        UserError: names the files that are missing or damaged.
    """
    files = manifest.files
    bad = []
    for file, fault in zip(files, bounded_map(partial(_fault, directory), files), strict=True):
        progress(file.bytes)
        if fault:
            bad.append(f"{file.name} ({fault})")
    if bad:
        data_dir = directory.parents[manifest.data_set.count("/") + 2]
        command = store_command(data_dir, manifest.data_set, manifest.image_size)
        raise UserError(
            f"damaged in {directory}: {', '.join(bad)}; remove what is damaged, then write it "
            f"again with: {command}"
        )
    return len(files)


def _fault(directory: Path, file: File) -> str | None:
    """Say what is wrong with a file, if anything."""
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
