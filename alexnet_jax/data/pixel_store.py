"""The pixel store: every image of a data set as pixels, in plain `.npy` files, read at any index.

Anyone may open the files with `np.load(…, mmap_mode="r")`. Training copies rows that lie in the
page cache from such maps, and reads others with `preadv`, straight into the batch: then a row is
one request, not a page fault after another, and a file that has become short, or a disk that fails,
is an error in Python.
"""

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet_jax.data.data_dir_lock import data_dir_lock
from alexnet_jax.data.data_features import resolve_split
from alexnet_jax.data.images import RESIZE_METHOD
from alexnet_jax.data.records import allow_many_open_files
from alexnet_jax.data.store_manifest import (
    MANIFEST,
    UNFINISHED,
    File,
    Manifest,
    records_fingerprint,
    store_command,
    store_directory,
)
from alexnet_jax.errors import UserError


class PixelStore:
    """The pixels and labels of one split; needs no records.

    Attributes:
        directory: of the store; its statistics lie in it.
        num_classes: how many classes the data set declares.
        class_names: their names, by label.
        image_size: side of the images in pixels.
        fingerprint: of the records that it was made from.
        manifest: of the whole store.
        files: of the split's pixels, in the order of its examples.
    """

    def __init__(self, data_dir: str | Path, name: str, split: str, image_size: int) -> None:
        """Open a split's store; looks at names, lengths and labels, not at pixels."""
        self.directory = _find(Path(data_dir), name, image_size)
        self.manifest = Manifest.load(self.directory / MANIFEST)
        self._command = store_command(Path(data_dir), name, image_size)
        self._check(name, split, image_size)
        self.image_size = image_size
        self.fingerprint: str | None = self.manifest.fingerprint
        self.class_names = self.manifest.class_names
        self.num_classes = len(self.class_names)
        files = self.manifest.splits[resolve_split(split, self.manifest.splits)]
        self._check_files([files.labels, *files.shards])
        self.files = [self.directory / shard.name for shard in files.shards]
        self._labels = self._load_labels(files.labels)
        self._row_bytes = self.manifest.row_bytes
        descriptors, self._maps = self._open(files.shards)
        self._descriptors = np.array(descriptors, np.int32)
        self._addresses = np.array([shard.ctypes.data for shard in self._maps])
        self._offsets = np.array([shard.data_offset(self._row_bytes) for shard in files.shards])
        self._ends = np.cumsum([shard.rows for shard in files.shards])  # First row after each.
        self._firsts = self._ends - [shard.rows for shard in files.shards]

    def __len__(self) -> int:
        return len(self._labels)

    def read_into(
        self, indices: Sequence[int] | np.ndarray, images: np.ndarray, labels: np.ndarray
    ) -> None:
        """Copy the images and labels at `indices` into `images` and `labels`."""
        # Imported here, because Numba takes 0.6 s to import.
        from alexnet_jax.data.cached_rows import copy_cached_rows

        indices = np.asarray(indices)
        if np.any(indices < 0):  # Else it would be counted from the end, and memory read before it.
            raise IndexError(f"examples {indices[indices < 0].tolist()} do not exist")
        labels[:] = self._labels[indices]
        shards = np.searchsorted(self._ends, indices, side="right")
        offsets = self._offsets[shards] + (indices - self._firsts[shards]) * self._row_bytes
        files, maps = self._descriptors[shards], self._addresses[shards]
        copied = copy_cached_rows(files, maps, offsets, images)
        missing = np.flatnonzero(~copied).tolist()
        for row in missing:
            _ask_for(int(files[row]), int(offsets[row]), self._row_bytes)
        memory = images.data.cast("B")
        for row in missing:
            part = memory[row * self._row_bytes : (row + 1) * self._row_bytes]
            self._read(int(shards[row]), part, int(offsets[row]))

    def _read(self, shard: int, part: memoryview, offset: int) -> None:
        done = 0
        while done < len(part):
            count = os.preadv(int(self._descriptors[shard]), [part[done:]], offset + done)
            if not count:
                raise UserError(
                    f"{self.directory}: shard {shard} has become shorter since it was opened; "
                    f"complete it with: {self._command}"
                )
            done += count

    def _check(self, name: str, split: str, image_size: int) -> None:
        manifest, directory = self.manifest, self.directory
        if (manifest.data_set, manifest.image_size) != (name, image_size):
            raise UserError(
                f"{directory} is a pixel store of {manifest.data_set} at {manifest.image_size} "
                f"pixels, not of {name} at {image_size}; move it to where that belongs"
            )
        if manifest.resize != RESIZE_METHOD:
            raise UserError(
                f"{directory} was made by another method ({manifest.resize}; now: "
                f"{RESIZE_METHOD}); remove it, then: {self._command}"
            )
        records = records_fingerprint(directory.parent)
        if records not in (None, manifest.fingerprint):
            raise UserError(
                f"{directory} was made from other records than those beside it; remove it, then: "
                f"{self._command}"
            )
        if resolve_split(split, manifest.splits) not in manifest.splits:
            raise UserError(f"{directory} has no split {split!r}, only {sorted(manifest.splits)}")

    def _check_files(self, files: list[File]) -> None:
        broken = [file for file in files if not file.is_whole(self.directory)]
        if broken:
            path = self.directory / broken[0].name
            state = f"has {path.stat().st_size:,} bytes" if path.is_file() else "is missing"
            more = f", and {len(broken) - 1} other files are not whole" if broken[1:] else ""
            raise UserError(
                f"{path} {state}, of {broken[0].bytes:,}{more}; write them again with: "
                f"{self._command}"
            )

    def _load_labels(self, file: File) -> np.ndarray:
        path = self.directory / file.name
        try:
            labels = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError, ArithmeticError, MemoryError) as error:
            raise UserError(
                f"{path} cannot be read ({error}); remove it, then: {self._command}"
            ) from error
        if labels.shape != (file.rows,) or labels.dtype != np.int32:
            raise UserError(
                f"{path} holds {labels.dtype} {list(labels.shape)}, not int32 [{file.rows}]; "
                f"remove it, then: {self._command}"
            )
        outside = np.flatnonzero((labels < 0) | (labels >= self.num_classes))
        if outside.size:
            raise UserError(
                f"{path}: label {labels[outside[0]]} of image {outside[0]} is not in [0, "
                f"{self.num_classes}); remove it, then: {self._command}"
            )
        return labels

    def _open(self, shards: list[File]) -> tuple[list[int], list[np.memmap]]:
        allow_many_open_files()
        descriptors: list[int] = []
        maps: list[np.memmap] = []
        weakref.finalize(self, _close, descriptors).atexit = False
        for shard in shards:
            try:
                descriptors.append(os.open(self.directory / shard.name, os.O_RDONLY))
                maps.append(np.memmap(self.directory / shard.name, mode="r"))
            except OSError as error:
                raise UserError(
                    f"{self.directory / shard.name} cannot be opened: {error.strerror}; of "
                    f"{len(shards)} shards {len(maps)} are open. If the limit on open files "
                    "is too low, raise it with: ulimit -n 65536"
                ) from error
            if hasattr(os, "posix_fadvise"):
                # Batches ask for whole rows at random: what lies behind a row is not wanted next.
                os.posix_fadvise(descriptors[-1], 0, 0, os.POSIX_FADV_RANDOM)
        return descriptors, maps


def find_store(data_dir: Path, name: str, image_size: int) -> Path | None:
    """Return the newest finished store of a data set, records or not; None where there is none."""
    found = [path.parent for path in _stores(data_dir, name, image_size, MANIFEST)]
    return max(found, default=None, key=lambda path: _version(path.parent))


def _find(data_dir: Path, name: str, image_size: int) -> Path:
    directory = find_store(data_dir, name, image_size)
    if directory is not None:
        return directory
    command = store_command(data_dir, name, image_size)
    for path in _stores(data_dir, name, image_size, UNFINISHED):
        if data_dir_lock(data_dir).is_held():
            raise UserError(
                f"{path.parent} is being written by another process; wait for it to end"
            )
        raise UserError(f"{path.parent} was left unfinished; complete it with: {command}")
    sizes = sorted(path.parent.name for path in _stores(data_dir, name, "*", MANIFEST))
    there = f" (there is {', '.join(sizes)})" if sizes else ""
    raise UserError(
        f"no pixel store of {name} at {image_size} pixels in {data_dir}{there}; make it with: "
        f"{command}"
    )


def _stores(data_dir: Path, name: str, image_size: int | str, file: str) -> list[Path]:
    pattern = str(store_directory(Path("*"), image_size) / file)
    found = Path(data_dir, name).glob(pattern)
    return [path for path in found if path.parent.parent.name.replace(".", "").isdigit()]


def _version(directory: Path) -> list[int]:
    return [int(number) for number in directory.name.split(".")]


def _ask_for(file: int, offset: int, length: int) -> None:
    """Have the disk fetch a row that will be read soon."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, offset, length, os.POSIX_FADV_WILLNEED)


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
