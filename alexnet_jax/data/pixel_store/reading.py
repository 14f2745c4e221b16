"""Reading a pixel store at any index.

The files are plain `.npy` and can be opened with `np.load(…, mmap_mode="r")`. Rows in the page
cache are copied from such maps. Other rows are read with `preadv`, straight into the batch: one
request a row instead of many page faults, and a truncated file or a failing disk raises an error.
"""

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet_jax.data.dataset_info import find_versions, records_fingerprint, resolve_split
from alexnet_jax.data.decoding.images import RESIZE_METHOD
from alexnet_jax.data.pixel_store.manifest import (
    MANIFEST,
    UNFINISHED,
    File,
    Manifest,
    Split,
    find_store,
    require_undamaged,
    store_command,
)
from alexnet_jax.errors import UserError
from alexnet_jax.system.data_dir_lock import data_dir_lock


class PixelStore:
    """The pixels and labels of one split: an `ImageSource` that needs no records.

    Attributes:
        files: Files of the split's pixels, in the order of its examples.
    """

    def __init__(self, data_dir: str | Path, name: str, split: str, image_size: int) -> None:
        """Open a split's store; check names, lengths and labels, but read no pixels."""
        self._command = store_command(Path(data_dir), name, image_size)
        self.directory = self._find(Path(data_dir), name, image_size)
        manifest = Manifest.load(self.directory / MANIFEST)
        files = self._check(manifest, name, split, image_size)
        self.image_size = image_size
        self.fingerprint: str | None = manifest.fingerprint
        self.class_names = manifest.class_names
        self.num_classes = len(self.class_names)
        self.files = [self.directory / shard.name for shard in files.shards]
        self._split = files
        self._labels = self._load_labels(files.labels)
        self._row_bytes = manifest.row_bytes
        descriptors, self._maps = self._open()
        self._descriptors = np.array(descriptors, np.int32)
        self._addresses = np.array([shard.ctypes.data for shard in self._maps])
        self._ends = np.cumsum([shard.rows for shard in files.shards])  # First row after each.
        # Row i of the split begins in its shard's file at `origin + i * row_bytes`.
        sizes = np.array([shard.bytes for shard in files.shards], np.int64)
        self._origins = sizes - self._ends * self._row_bytes

    def __len__(self) -> int:
        return len(self._labels)

    def read_into(
        self, indices: Sequence[int] | np.ndarray, images: np.ndarray, labels: np.ndarray
    ) -> None:
        """Copy the images and labels at `indices` into `images` and `labels`."""
        indices, length = np.asarray(indices), self._row_bytes
        if np.any(indices < 0):  # NumPy would count from the end.
            raise IndexError(f"examples {indices[indices < 0].tolist()} do not exist")
        labels[:] = self._labels[indices]
        shards = np.searchsorted(self._ends, indices, side="right")
        offsets = self._origins[shards] + indices * length
        files = self._descriptors[shards]
        copied = np.zeros(len(indices), np.bool_)
        if hasattr(os, "RWF_NOWAIT"):
            # Imported here because Numba takes 0.6 s to import.
            from alexnet_jax.data.pixel_store.cached_rows import copy_cached_rows

            copied = copy_cached_rows(files, self._addresses[shards], offsets, images)
        missing = np.flatnonzero(~copied).tolist()
        if hasattr(os, "posix_fadvise"):  # The disk fetches all rows while the first is read.
            for row in missing:
                file, offset = int(files[row]), int(offsets[row])
                os.posix_fadvise(file, offset, length, os.POSIX_FADV_WILLNEED)
        memory = images.data.cast("B")
        for row in missing:
            part = memory[row * length : (row + 1) * length]
            self._read(int(shards[row]), part, int(offsets[row]))

    def verify(self, first: int, last: int) -> None:
        """Raise UserError if the labels or a file of images `first` to `last - 1` are damaged."""
        ends = self._ends.tolist()
        shards = [
            shard
            for shard, end in zip(self._split.shards, ends, strict=True)
            if end - shard.rows < last and end > first
        ]
        require_undamaged(self.directory, [self._split.labels, *shards], self._command)

    def _read(self, shard: int, part: memoryview, offset: int) -> None:
        done = 0
        while done < len(part):
            count = os.preadv(int(self._descriptors[shard]), [part[done:]], offset + done)
            if not count:
                problem = f"{self.directory}: shard {shard} has become shorter since it was opened"
                raise self._error(problem, "complete it with")
            done += count

    def _error(self, problem: str, way_out: str = "remove it, then") -> UserError:
        return UserError(f"{problem}; {way_out}: {self._command}")

    def _find(self, data_dir: Path, name: str, image_size: int) -> Path:
        directory = find_store(data_dir, name, image_size)
        if directory is not None:
            return directory
        unfinished = find_store(data_dir, name, image_size, UNFINISHED)
        if unfinished is not None and data_dir_lock(data_dir).is_held():
            raise UserError(f"{unfinished} is being written by another process; wait for it to end")
        if unfinished is not None:
            raise self._error(f"{unfinished} was left unfinished", "complete it with")
        stores = find_versions(data_dir, name, f"pixels_*/{MANIFEST}")
        sizes = ", ".join(sorted(path.parent.name for path in stores))
        there = f" (there is {sizes})" if sizes else ""
        problem = f"no pixel store of {name} at {image_size} pixels in {data_dir}{there}"
        raise self._error(problem, "make it with")

    def _check(self, manifest: Manifest, name: str, split: str, image_size: int) -> Split:
        """Return the split's files; raise UserError if the store is another or not whole."""
        if (manifest.data_set, manifest.image_size) != (name, image_size):
            raise UserError(
                f"{self.directory} is a pixel store of {manifest.data_set} at "
                f"{manifest.image_size} pixels, not of {name} at {image_size}; move it to where "
                "that belongs"
            )
        if manifest.resize != RESIZE_METHOD:
            methods = f"{manifest.resize}; now: {RESIZE_METHOD}"
            raise self._error(f"{self.directory} was made by another method ({methods})")
        if records_fingerprint(self.directory.parent) not in (None, manifest.fingerprint):
            raise self._error(f"{self.directory} was made from other records than those beside it")
        files = manifest.splits.get(resolve_split(split, manifest.splits))
        if files is None:
            there = sorted(manifest.splits)
            raise UserError(f"{self.directory} has no split {split!r}, only {there}")
        broken = [f for f in (files.labels, *files.shards) if not f.is_whole(self.directory)]
        if broken:
            path = self.directory / broken[0].name
            state = f"has {path.stat().st_size:,} bytes" if path.is_file() else "is missing"
            more = f", and {len(broken) - 1} other files are not whole" if broken[1:] else ""
            problem = f"{path} {state}, of {broken[0].bytes:,}{more}"
            raise self._error(problem, "write them again with")
        return files

    def _load_labels(self, file: File) -> np.ndarray:
        path = self.directory / file.name
        try:
            labels = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError, ArithmeticError, MemoryError) as error:
            raise self._error(f"{path} cannot be read ({error})") from error
        if labels.shape != (file.rows,) or labels.dtype != np.int32:
            found = f"{labels.dtype} {list(labels.shape)}"
            raise self._error(f"{path} holds {found}, not int32 [{file.rows}]")
        outside = np.flatnonzero((labels < 0) | (labels >= self.num_classes))
        if outside.size:
            image = outside[0]
            raise self._error(
                f"{path}: label {labels[image]} of image {image} is not in [0, {self.num_classes})"
            )
        return labels

    def _open(self) -> tuple[list[int], list[np.memmap]]:
        """Open and map all shards; close the descriptors when this object is deleted."""
        descriptors: list[int] = []
        maps: list[np.memmap] = []
        weakref.finalize(self, _close, descriptors).atexit = False
        for path in self.files:
            try:
                descriptors.append(os.open(path, os.O_RDONLY))
                maps.append(np.memmap(path, mode="r"))
            except OSError as error:
                raise UserError(
                    f"{path} cannot be opened: {error.strerror}; of {len(self.files)} shards "
                    f"{len(maps)} are open. If the limit on open files is too low, raise it with: "
                    "ulimit -n 65536"
                ) from error
            if hasattr(os, "posix_fadvise"):
                # Batches read whole rows in random order, so read-ahead past a row is wasted.
                os.posix_fadvise(descriptors[-1], 0, 0, os.POSIX_FADV_RANDOM)
        return descriptors, maps


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
