"""What a pixel store says of itself: `manifest.json`, written last.

A store is a directory `pixels_SIZE` beside the records, of plain `.npy` files: for each split,
shards of images, uint8 [rows, SIZE, SIZE, 3], in the order of the records, and one file of labels,
int32. `unfinished.json` is the manifest of what has been written so far.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_jax.atomic_write import atomic_file
from alexnet_jax.data.images import RESIZE_METHOD
from alexnet_jax.data.records import dataset_option
from alexnet_jax.errors import UserError

FORMAT = 1
MANIFEST, UNFINISHED = "manifest.json", "unfinished.json"
_RECORDS_WAY_OUT = "restore it, or remove {} and prepare the data set again"
_SHARD_BYTES = 2**29  # ImageNet becomes 480 files: few to open, many to share among cores.


@dataclass(frozen=True)
class File:
    """One `.npy` file: its name, rows, length in bytes, and the CRC-32 of all of them."""

    name: str
    rows: int
    bytes: int
    crc32: int

    def data_offset(self, row_bytes: int) -> int:
        """Return where the first row begins, behind NumPy's header."""
        return self.bytes - self.rows * row_bytes

    def is_whole(self, directory: Path) -> bool:
        """Say whether the file is there and as long as it should be; looks at no byte of it."""
        path = directory / self.name
        return path.is_file() and path.stat().st_size == self.bytes


@dataclass(frozen=True)
class Split:
    """The files of one split."""

    labels: File
    shards: list[File]

    @property
    def count(self) -> int:
        """The number of examples."""
        return sum(shard.rows for shard in self.shards)


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` holds.

    Attributes:
        data_set: full name, "fractals/demo".
        version: of the data set.
        fingerprint: of the records that it was made from.
        image_size: side in pixels.
        class_names: by label.
        splits: by name.
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
        """Write it to `path`, whole and to the disk."""
        with atomic_file(path) as unfinished, unfinished.open("w") as file:
            json.dump(asdict(self), file, indent=1)
            file.flush()
            os.fsync(file.fileno())

    @staticmethod
    def load(path: Path) -> "Manifest":
        """Read a manifest; UserError where it is damaged or of another format."""
        with _damage_named(path, f"remove {path.parent} and make the pixel store again"):
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


def store_directory(records_directory: Path, image_size: int | str) -> Path:
    """Return where the pixel store of a data set lies."""
    return records_directory / f"pixels_{image_size}"


def store_command(data_dir: Path, data_set: str, image_size: int) -> str:
    """Return the command that makes a pixel store of records, or completes it."""
    return (
        f"python -m alexnet_jax.prepare --dataset={dataset_option(data_set)} --data_dir={data_dir} "
        f"--image_size={image_size} --store_only"
    )


def rows_per_shard(image_size: int) -> int:
    """Return how many images a full shard holds; the same on every machine."""
    return max(1, _SHARD_BYTES // (image_size**2 * 3))


def npy_header(shape: Sequence[int], dtype: np.dtype[Any], length: int = 0) -> bytes:
    """Return what NumPy writes before the data of an array, with blanks up to `length` bytes."""
    header = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        header, {"descr": descr, "fortran_order": False, "shape": tuple(shape)}
    )
    begin, text = header.getvalue()[:8], header.getvalue()[10:-1]  # Between: the text's length.
    text = text.ljust(length - 11) + b"\n"
    return begin + len(text).to_bytes(2, "little") + text


def records_fingerprint(directory: Path) -> str | None:
    """Return a hash of what the records' own description says; None where there are no records.

    Raises:
        UserError: the description is damaged.
    """
    path = directory / "dataset_info.json"
    if not path.is_file():
        return None
    with _damage_named(path, _RECORDS_WAY_OUT.format(directory)):
        info = json.loads(path.read_text())
        told = [info["name"], info.get("configName"), info["version"]]
        told += [[s["name"], s["numBytes"], s["shardLengths"]] for s in info["splits"]]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def data_set_name(directory: Path) -> str:
    """Return the full name of the data set whose records lie in `directory`.

    Raises:
        UserError: there is no description of it, or it is damaged.
    """
    path = directory / "dataset_info.json"
    with _damage_named(path, _RECORDS_WAY_OUT.format(directory)):
        info = json.loads(path.read_text())
        return "/".join(filter(None, [info["name"], info.get("configName")]))


@contextmanager
def _damage_named(path: Path, way_out: str) -> Iterator[None]:
    """Turn what reading a damaged JSON file raises into one line."""
    try:
        yield
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} cannot be read ({reason}); {way_out}") from error
