"""Writing a pixel store: every core decodes, nothing half-written looks whole, a kill costs little.

A shard is written under another name, its bytes brought to the disk, and only then named and
entered into `unfinished.json`; when all are there, that file becomes `manifest.json`.
"""

import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from alexnet_jax.atomic_write import atomic_file
from alexnet_jax.data.bounded_map import bounded_map
from alexnet_jax.data.direct_write import BLOCK_BYTES, empty_blocks, write_at
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.images import MAX_MEGAPIXELS
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

_ROWS_AT_ONCE = 8  # Decoded by a thread, then written; bounds the memory.
_WRITERS = 1  # Waits for the disk while every core decodes; see `write_at` for why not two.
_TEMPORARY = ".tmp"


@dataclass(frozen=True)
class _Shard:
    """A shard to write: rows `first` to `first + rows` of a split."""

    split: str
    path: Path
    first: int
    rows: int


@dataclass(frozen=True)
class _Block:
    """Rows `begin` to `end` of a shard, and where in its file they begin."""

    shard: _Shard
    begin: int
    end: int
    offset: int


def write_store(
    records: Mapping[str, Records],
    data_set: str,
    image_size: int,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Path:
    """Write the pixel store of a data set, or what a killed run has left to write of it.

    Args:
        records: by split; all of one directory.
        data_set: full name.
        image_size: side of the images in pixels.
        max_megapixels: a larger image is an error.

    Returns:
        Its directory.

    Raises:
        UserError: the disk is too small or full, a store of other records is in the way, or an
            image cannot be decoded.
    """
    any_records = next(iter(records.values()))
    directory = store_directory(any_records.directory, image_size)
    directory.mkdir(exist_ok=True)
    _remove_temporary(directory)
    counts = {split: len(of_split) for split, of_split in records.items()}
    manifest = _begin(directory, any_records, data_set, image_size, counts)
    sources = {
        split: DecodedImages(part, image_size, max_megapixels) for split, part in records.items()
    }
    shards = _missing(directory, manifest, counts)
    _announce(directory, manifest, shards, counts)
    what = f"pixel store of {data_set}"
    try:
        with (
            full_disk_reported(directory, f"the {what}"),
            Progress(what, sum(shard.rows for shard in shards), "images") as progress,
            ThreadPoolExecutor(1) as disk,
        ):
            published = disk.submit(lambda: manifest)
            # Waiting for the disk is a thread's own work: the decoders go on meanwhile.
            for shard, file, labels in _write_shards(shards, sources, progress):
                begun = published.result()
                published = disk.submit(_publish, directory, begun, shard, file, labels)
            published.result()
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


def _write_shards(
    shards: list[_Shard], sources: Mapping[str, DecodedImages], progress: Progress
) -> Iterator[tuple[_Shard, File, np.ndarray]]:
    """Write shards under their temporary names, all threads at one after the other.

    Yields:
        Each shard once it is written, its entry and its labels.
    """
    decoded = bounded_map(partial(_decode, sources=sources), _blocks(shards, sources))
    labels: list[np.ndarray] = []
    for block, pixels, block_labels in bounded_map(_write, decoded, _WRITERS):
        shard = block.shard
        if block.begin == 0:
            checksum, labels = zlib.crc32(_header(shard, sources)), []
        checksum = zlib.crc32(pixels.data, checksum)
        labels.append(block_labels)
        progress.advance(len(block_labels))
        if block.end == shard.rows:
            length = block.offset + pixels.nbytes
            file = File(shard.path.name, shard.rows, length, checksum)
            yield shard, file, np.concatenate(labels)


def _blocks(shards: list[_Shard], sources: Mapping[str, DecodedImages]) -> Iterator[_Block]:
    """Begin the file of each shard, then list its blocks."""
    for shard in shards:
        header = _header(shard, sources)
        _temporary(shard.path).write_bytes(header)
        row_bytes = sources[shard.split].image_size ** 2 * 3
        for begin in range(0, shard.rows, _ROWS_AT_ONCE):
            end = min(begin + _ROWS_AT_ONCE, shard.rows)
            yield _Block(shard, begin, end, len(header) + begin * row_bytes)


def _decode(
    block: _Block, sources: Mapping[str, DecodedImages]
) -> tuple[_Block, np.ndarray, np.ndarray]:
    shard, source = block.shard, sources[block.shard.split]
    count, size = block.end - block.begin, source.image_size
    pixels, labels = empty_blocks((count, size, size, 3)), np.empty(count, np.int32)
    source.read_into(range(shard.first + block.begin, shard.first + block.end), pixels, labels)
    return block, pixels, labels


def _write(
    decoded: tuple[_Block, np.ndarray, np.ndarray],
) -> tuple[_Block, np.ndarray, np.ndarray]:
    """Write a block into its place in the file; returns what it was given."""
    block, pixels, _ = decoded
    write_at(_temporary(block.shard.path), block.offset, pixels)
    return decoded


def _header(shard: _Shard, sources: Mapping[str, DecodedImages]) -> bytes:
    """Return a header after which the rows begin where a block of the disk does."""
    size = sources[shard.split].image_size
    return npy_header((shard.rows, size, size, 3), np.dtype(np.uint8), BLOCK_BYTES)


def _publish(
    directory: Path, manifest: Manifest, shard: _Shard, file: File, labels: np.ndarray
) -> Manifest:
    """Give a written shard its name, once it is on the disk, and enter it into the manifest."""
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
    with atomic_file(path) as unfinished:
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
