"""The manifest of a pixel store, `manifest.json`, which is written last.

A store is a directory `pixels_SIZE` beside the records. For each split it holds one file of labels,
int32, and shards of images, uint8 [rows, SIZE, SIZE, 3], in the order of the records. All are plain
`.npy` files. `unfinished.json` is the manifest of a store that is still being written.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alexnet_jax.data.dataset_info import damage_reported, find_versions
from alexnet_jax.data.decoding.images import RESIZE_METHOD
from alexnet_jax.errors import UserError
from alexnet_jax.system.atomic_write import atomic_file

FORMAT = 1
MANIFEST, UNFINISHED = "manifest.json", "unfinished.json"


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


@dataclass(frozen=True)
class Split:
    """The files of one split."""

    labels: File
    shards: list[File]


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`.

    Attributes:
        data_set: full name, "fractals/demo"; `version` is its version.
        fingerprint: of the records that the store was made from.
        image_size: side in pixels.
        class_names: by label.
        resize: how images became squares.
        format: of the store.
    """

    data_set: str
    version: str
    fingerprint: str
    image_size: int
    class_names: list[str]
    splits: dict[str, Split]
    resize: str = RESIZE_METHOD
    format: int = FORMAT

    @property
    def files(self) -> list[File]:
        """All files, by split."""
        return [file for split in self.splits.values() for file in (split.labels, *split.shards)]

    @property
    def row_bytes(self) -> int:
        """Bytes of an image."""
        return self.image_size**2 * 3

    def save(self, path: Path) -> None:
        """Write the manifest to `path`, atomically, and sync it to disk."""
        with atomic_file(path) as unfinished, unfinished.open("w") as file:
            json.dump(asdict(self), file, indent=1)
            file.flush()
            os.fsync(file.fileno())

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


def store_command(data_dir: Path, data_set: str, image_size: int) -> str:
    """Return the command that makes or completes the pixel store of prepared records."""
    from alexnet_jax.data.builders.commands import dataset_option  # Only messages need it.

    return (
        f"python -m alexnet_jax.prepare --dataset={dataset_option(data_set)} --data_dir={data_dir} "
        f"--image_size={image_size} --store_only"
    )
