"""Writing a pixel store: every core decodes, nothing half-written looks whole, a kill costs little.

A shard is written under another name, its bytes brought to the disk, and only then named and
entered into `unfinished.json`; when all are there, that file becomes `manifest.json`.
"""

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from alexnet_jax.data.bounded_map import bounded_map
from alexnet_jax.data.pixels import DecodedRecords
from alexnet_jax.data.progress import Progress
from alexnet_jax.data.records import Records
from alexnet_jax.data.store_manifest import (
    MANIFEST,
    UNFINISHED,
    File,
    Manifest,
    Split,
    npy_header,
    records_fingerprint,
    rows_per_shard,
    store_directory,
)
from alexnet_jax.disk_space import full_disk_reported, require_free_space
from alexnet_jax.errors import UserError
from alexnet_jax.whole_file import whole_file

_ROWS_AT_ONCE = 16  # Decoded by a thread before it writes them; bounds the memory.
_TEMPORARY = ".tmp"


@dataclass(frozen=True)
class _Shard:
    """A shard to write: rows `first` to `first + rows` of a split."""

    split: str
    path: Path
    first: int
    rows: int


def write_store(records: Mapping[str, Records], data_set: str, image_size: int) -> Path:
    """Write the pixel store of a data set, or what a killed run has left to write of it.

    Args:
        records: by split; all of one directory.
        data_set: full name.
        image_size: side of the images in pixels.

    Returns:
        Its directory.

    Raises:
        UserError: the disk is too small or full, or a store of other records is in the way.
    """
    any_records = next(iter(records.values()))
    directory = store_directory(any_records.directory, image_size)
    directory.mkdir(exist_ok=True)
    _remove_temporary(directory)
    counts = {split: len(of_split) for split, of_split in records.items()}
    manifest = _begin(directory, any_records, data_set, image_size, counts)
    sources = {split: DecodedRecords(part, image_size) for split, part in records.items()}
    shards = _missing(directory, manifest, counts)
    _announce(directory, manifest, shards, counts)
    what = f"pixel store of {data_set}"
    try:
        with (
            full_disk_reported(directory, f"the {what}"),
            Progress(what, sum(shard.rows for shard in shards), "images") as progress,
        ):
            write = partial(_write_shard, sources=sources)
            for shard, (file, labels) in zip(shards, bounded_map(write, shards), strict=True):
                manifest = _publish(directory, manifest, shard, file, labels)
                progress.advance(shard.rows)
            (directory / UNFINISHED).replace(directory / MANIFEST)
            _sync(directory)
    finally:
        _remove_temporary(directory)
    return directory


def _begin(
    directory: Path, records: Records, data_set: str, image_size: int, counts: Mapping[str, int]
) -> Manifest:
    """Return the manifest of what is there of this very store: whole files only."""
    fresh = Manifest(
        data_set=data_set,
        version=records.directory.name,
        fingerprint=records_fingerprint(records.directory) or "",
        image_size=image_size,
        class_names=records.class_names,
        splits={},
    )
    splits: dict[str, Split] = {}
    for name in (MANIFEST, UNFINISHED):
        if (directory / name).exists():
            begun = Manifest.load(directory / name)
            if replace(begun, splits={}) != fresh:
                raise UserError(
                    f"{directory} holds a pixel store of other records, or of another version of "
                    "this program; remove it and run the same command again"
                )
            splits = begun.splits
            break
    with full_disk_reported(directory, f"the pixel store of {data_set}"):
        begun = replace(
            fresh,
            splits={
                split: _whole_files(directory, splits[split])
                if split in splits and splits[split].labels.is_whole(directory)
                else Split(_write_labels(directory, split, np.zeros(count, np.int32)), [])
                for split, count in counts.items()
            },
        )
        begun.save(directory / UNFINISHED)
    (directory / MANIFEST).unlink(missing_ok=True)
    return begun


def _whole_files(directory: Path, split: Split) -> Split:
    return replace(split, shards=[shard for shard in split.shards if shard.is_whole(directory)])


def _missing(directory: Path, manifest: Manifest, counts: Mapping[str, int]) -> list[_Shard]:
    """List the shards that the manifest does not have, in order."""
    rows = rows_per_shard(manifest.image_size)
    shards = []
    for split, count in counts.items():
        there = {shard.name for shard in manifest.splits[split].shards}
        of = -(-count // rows)
        for number in range(of):
            first = number * rows
            path = directory / f"{split}-{number:05}-of-{of:05}.npy"
            if path.name not in there:
                shards.append(_Shard(split, path, first, min(rows, count - first)))
    return shards


def _announce(
    directory: Path, manifest: Manifest, shards: list[_Shard], counts: Mapping[str, int]
) -> None:
    total, missing = sum(counts.values()), sum(shard.rows for shard in shards)
    size = manifest.image_size
    already = f", {total - missing:,} of them already there" if missing < total else ""
    print(
        f"writing {total:,} images of {size}x{size} pixels, {total * manifest.row_bytes / 1e9:,.2f}"
        f" GB, to {directory}{already}",
        flush=True,
    )
    what = f"the pixel store of {manifest.data_set}"
    require_free_space(directory, missing * manifest.row_bytes, what)


def _write_shard(shard: _Shard, sources: Mapping[str, DecodedRecords]) -> tuple[File, np.ndarray]:
    """Write a shard under its temporary name; returns its entry and its labels."""
    source = sources[shard.split]
    size = source.image_size
    header = npy_header((shard.rows, size, size, 3), np.dtype(np.uint8))
    checksum = zlib.crc32(header)
    images = np.empty((_ROWS_AT_ONCE, size, size, 3), np.uint8)
    labels = np.empty(shard.rows, np.int32)
    with _temporary(shard.path).open("wb") as file:
        file.write(header)
        for begin in range(0, shard.rows, _ROWS_AT_ONCE):
            end = min(begin + _ROWS_AT_ONCE, shard.rows)
            pixels = images[: end - begin]
            indices = range(shard.first + begin, shard.first + end)
            source.read_into(indices, pixels, labels[begin:end])
            checksum = zlib.crc32(pixels.data, checksum)
            file.write(pixels.data)
    length = len(header) + shard.rows * size**2 * 3
    return File(shard.path.name, shard.rows, length, checksum), labels


def _publish(
    directory: Path, manifest: Manifest, shard: _Shard, file: File, labels: np.ndarray
) -> Manifest:
    """Give a written shard its name, once it is on the disk, and enter it into the manifest.

    The next shards are decoded meanwhile.
    """
    _sync(_temporary(shard.path))
    _temporary(shard.path).replace(shard.path)
    split = manifest.splits[shard.split]
    all_labels = np.load(directory / split.labels.name, allow_pickle=False)
    all_labels[shard.first : shard.first + shard.rows] = labels
    entry = _write_labels(directory, shard.split, all_labels)
    changed = Split(entry, sorted([*split.shards, file], key=lambda file: file.name))
    manifest = replace(manifest, splits={**manifest.splits, shard.split: changed})
    manifest.save(directory / UNFINISHED)
    return manifest


def _write_labels(directory: Path, split: str, labels: np.ndarray) -> File:
    path = directory / f"{split}-labels.npy"
    data = npy_header(labels.shape, labels.dtype) + labels.tobytes()
    with whole_file(path) as unfinished:
        unfinished.write_bytes(data)
        _sync(unfinished)
    return File(path.name, len(labels), len(data), zlib.crc32(data))


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + _TEMPORARY)


def _remove_temporary(directory: Path) -> None:
    """Remove what a killed run was writing; the lock says that nobody is at it."""
    for path in directory.glob(f"*{_TEMPORARY}"):
        path.unlink()


def _sync(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
