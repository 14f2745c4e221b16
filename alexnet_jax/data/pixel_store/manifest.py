"""The manifest of a pixel store, `manifest.json`, which is written last.

A store is a directory `pixels_SIZE` beside the records. For each split it holds one file of labels,
int32, and shards of images, uint8 [rows, SIZE, SIZE, 3], in the order of the records. All are plain
`.npy` files. `unfinished.json` is the manifest of a store that is still being written.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alexnet_jax.data.dataset_info import damage_reported, find_versions
from alexnet_jax.data.decoding.images import RESIZE_METHOD
from alexnet_jax.data.pixel_store.direct_write import sync
from alexnet_jax.errors import UserError
from alexnet_jax.system.atomic_write import atomic_file
from alexnet_jax.system.bounded_map import bounded_map
from alexnet_jax.system.progress import Progress

FORMAT = 1
MANIFEST, UNFINISHED = "manifest.json", "unfinished.json"
_BYTES_AT_ONCE = 2**22


@dataclass(frozen=True)
class File:
    """One `.npy` file: its name, number of rows, length in bytes, and CRC-32."""

    name: str
    rows: int
    bytes: int
    crc32: int

    def is_whole(self, directory: Path) -> bool:
        """Return whether the file exists and has its full length; its content is not read."""
        path = directory / self.name
        return path.is_file() and path.stat().st_size == self.bytes

    def find_fault(self, directory: Path) -> str | None:
        """Read the file; return how it differs from what was written, None if it does not."""
        checksum, length = 0, 0
        try:
            with (directory / self.name).open("rb", buffering=0) as stream:
                while part := stream.read(_BYTES_AT_ONCE):
                    checksum = zlib.crc32(part, checksum)
                    length += len(part)
        except OSError as error:
            return str(error.strerror)
        if length != self.bytes:
            return f"{length:,} bytes instead of {self.bytes:,}"
        if checksum != self.crc32:
            return f"checksum {checksum:08x} instead of {self.crc32:08x}"
        return None


@dataclass(frozen=True)
class Split:
    """The files of one split."""

    labels: File
    shards: list[File]


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`."""

    data_set: str  # Full name, "fractals/demo".
    version: str  # Of the data set.
    fingerprint: str  # Of the records that the store was made from.
    image_size: int  # Side in pixels.
    class_names: list[str]  # By label.
    splits: dict[str, Split]
    resize: str = RESIZE_METHOD  # How images became squares.
    format: int = FORMAT

    @property
    def files(self) -> list[File]:
        """All files, by split."""
        return [file for split in self.splits.values() for file in (split.labels, *split.shards)]

    @property
    def row_bytes(self) -> int:
        """Bytes of an image."""
        return self.image_size**2 * 3

    def is_whole(self, directory: Path) -> bool:
        """Return whether all files exist and have their full lengths."""
        return all(file.is_whole(directory) for file in self.files)

    def save(self, path: Path) -> None:
        """Write the manifest to `path`, atomically, and sync it to disk."""
        with atomic_file(path) as unfinished:
            unfinished.write_text(json.dumps(asdict(self), indent=1))
            sync(unfinished)

    @staticmethod
    def load(path: Path) -> "Manifest":
        """Read a manifest; raise UserError if it is damaged or of another format."""
        with damage_reported(path, f"remove {path.parent} and make the pixel store again"):
            values: dict[str, Any] = json.loads(path.read_text())
            if values["format"] != FORMAT:
                raise UserError(
                    f"{path.parent} is a pixel store of format {values['format']}, this program "
                    f"reads format {FORMAT}; remove the directory and make it again"
                )
            splits = {
                name: Split(File(**split["labels"]), [File(**file) for file in split["shards"]])
                for name, split in values.pop("splits").items()
            }
            return Manifest(splits=splits, **values)


def find_store(data_dir: Path, name: str, image_size: int, file: str = MANIFEST) -> Path | None:
    """Return the newest store of a data set that holds `file`, or None; it needs no records."""
    found = find_versions(data_dir, name, f"pixels_{image_size}/{file}")
    return found[-1].parent if found else None


def require_undamaged(directory: Path, files: Sequence[File], command: str) -> None:
    """Read `files` on all cores; raise UserError if some are not as written.

    The message names them and the `command` that writes them again.
    """
    bad = []
    with Progress(f"verifying {directory}", sum(file.bytes for file in files), "B") as progress:
        faults = bounded_map(lambda file: file.find_fault(directory), files)
        for file, fault in zip(files, faults, strict=True):
            progress.advance(file.bytes)
            if fault:
                bad.append(f"{file.name} ({fault})")
    if bad:
        raise UserError(
            f"damaged in {directory}: {', '.join(bad)}; remove what is damaged, then write it "
            f"again with: {command}"
        )


def store_command(data_dir: Path, data_set: str, image_size: int) -> str:
    """Return the command that makes or completes the pixel store of prepared records."""
    from alexnet_jax.data.builders.commands import dataset_option  # Only messages need it.

    return (
        f"python -m alexnet_jax.prepare --dataset={dataset_option(data_set)} --data_dir={data_dir} "
        f"--image_size={image_size} --store_only"
    )
