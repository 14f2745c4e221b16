"""Writing a pixel store: in parallel, safe against crashes, and resumable.

A shard is written under a temporary name and synced to disk. Only then does it get its own name and
an entry in `unfinished.json`, which becomes `manifest.json` when all shards are there.
"""

import io
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alexnet_jax.data.dataset_info import records_fingerprint
from alexnet_jax.data.decoding.images import MAX_MEGAPIXELS
from alexnet_jax.data.decoding.reused_memory import BatchBuffers
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store.direct_write import BLOCK_BYTES, sync, write_at
from alexnet_jax.data.pixel_store.manifest import MANIFEST, UNFINISHED, File, Manifest, Split
from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError
from alexnet_jax.system.atomic_write import atomic_file
from alexnet_jax.system.bounded_map import bounded_map
from alexnet_jax.system.disk_space import full_disk_reported, require_free_space
from alexnet_jax.system.progress import Progress

_SHARD_BYTES = 2**29  # ImageNet becomes 480 files: few to open, many to share among cores.
_ROWS_AT_ONCE = 8  # Decoded by a thread, then written; bounds the memory.
_WRITERS = 1  # `write_at` needs one thread for each file.
_TEMPORARY = ".tmp"


@dataclass(frozen=True)
class _Shard:
    """Rows `first` to `first + rows` of a split, and the file to write them to."""

    split: str
    path: Path
    first: int
    rows: int

    @property
    def temporary(self) -> Path:
        return self.path.with_name(self.path.name + _TEMPORARY)


class _Block(NamedTuple):
    """Decoded rows of a shard, beginning at row `begin`."""

    shard: _Shard
    begin: int
    pixels: np.ndarray
    labels: np.ndarray


def write_store(
    records: Mapping[str, Records],
    data_set: str,
    image_size: int,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> None:
    """Write the pixel store of a data set, or only what is missing of it.

    `records` holds all splits of the data set by name; an image above `max_megapixels` is an error.

    Raises:
        UserError: the disk is too small, the directory holds a store of other records, or an
            image cannot be decoded.
        MachineError: the disk is full, or fails.
    """
    any_records = next(iter(records.values()))
    directory = any_records.directory / f"pixels_{image_size}"
    directory.mkdir(exist_ok=True)
    _remove_temporary(directory)
    empty = Manifest(
        data_set=data_set,
        version=any_records.directory.name,
        fingerprint=records_fingerprint(any_records.directory) or "",
        image_size=image_size,
        class_names=any_records.class_names,
        splits={},
    )
    sources = {
        split: DecodedImages(part, image_size, max_megapixels) for split, part in records.items()
    }
    what = f"pixel store of {data_set}"
    try:
        with full_disk_reported(directory, f"the {what}"):
            manifest = _resume(directory, empty, sources)
            shards = _missing_shards(directory, manifest, sources)
            missing = _announce(directory, manifest, shards)
            with Progress(what, missing, "images") as progress, ThreadPoolExecutor(1) as disk:
                published = disk.submit(lambda: manifest)
                # Syncing has a thread of its own, so that decoding continues meanwhile.
                for written in _write_shards(shards, sources, progress):
                    published = disk.submit(_publish, directory, published.result(), *written)
                published.result()
            (directory / UNFINISHED).replace(directory / MANIFEST)
            sync(directory)
    finally:
        _remove_temporary(directory)


def _resume(directory: Path, empty: Manifest, sources: Mapping[str, DecodedImages]) -> Manifest:
    """Return the manifest of the whole files that are there, and save it as unfinished."""
    found: dict[str, Split] = {}
    paths = [directory / MANIFEST, directory / UNFINISHED]
    if path := next((path for path in paths if path.exists()), None):
        begun = Manifest.load(path)
        if replace(begun, splits={}) != empty:
            raise UserError(
                f"{directory} holds a pixel store of other records, or of another version of "
                "this program; remove it and run the same command again"
            )
        found = begun.splits
    splits = {}
    for split, source in sources.items():
        if split in found and found[split].labels.is_whole(directory):
            shards = [shard for shard in found[split].shards if shard.is_whole(directory)]
            splits[split] = Split(found[split].labels, shards)
        else:
            labels = np.zeros(len(source), np.int32)
            splits[split] = Split(_write_labels(directory, split, labels), [])
    manifest = replace(empty, splits=splits)
    manifest.save(directory / UNFINISHED)
    (directory / MANIFEST).unlink(missing_ok=True)
    return manifest


def _missing_shards(
    directory: Path, manifest: Manifest, sources: Mapping[str, DecodedImages]
) -> list[_Shard]:
    there = {file.name for file in manifest.files}
    rows = max(1, _SHARD_BYTES // manifest.row_bytes)
    shards = []
    for split, source in sources.items():
        count = len(source)
        for first in range(0, count, rows):
            name = f"{split}-{first // rows:05}-of-{-(-count // rows):05}.npy"
            if name not in there:
                shards.append(_Shard(split, directory / name, first, min(rows, count - first)))
    return shards


def _announce(directory: Path, manifest: Manifest, shards: list[_Shard]) -> int:
    """Print how much will be written, check the free space, and return the number of images."""
    missing, size = sum(shard.rows for shard in shards), manifest.image_size
    total = missing + sum(file.rows for split in manifest.splits.values() for file in split.shards)
    already = f", {total - missing:,} of them already there" if missing < total else ""
    print(
        f"writing {total:,} images of {size}x{size} pixels, {total * manifest.row_bytes / 1e9:,.2f}"
        f" GB, to {directory}{already}",
        flush=True,
    )
    what = f"the pixel store of {manifest.data_set}"
    require_free_space(directory, missing * manifest.row_bytes, what)
    return missing


def _write_shards(
    shards: list[_Shard], sources: Mapping[str, DecodedImages], progress: Progress
) -> Iterator[tuple[_Shard, File, np.ndarray]]:
    """Write shards under their temporary names, in order; the threads share each shard.

    Yields each shard, its entry in the manifest, and its labels.
    """
    blocks = ((shard, begin) for shard in shards for begin in range(0, shard.rows, _ROWS_AT_ONCE))
    size = next(iter(sources.values())).image_size
    buffers = BatchBuffers((_ROWS_AT_ONCE, size, size, 3))  # On page boundaries, for direct writes.
    decoded = bounded_map(partial(_decode, sources=sources, buffers=buffers), blocks)
    labels: list[np.ndarray] = []
    for block in bounded_map(_write, decoded, _WRITERS):
        shard, count = block.shard, len(block.labels)
        if block.begin == 0:
            checksum, labels = zlib.crc32(_header(shard, block.pixels)), []
        checksum = zlib.crc32(block.pixels.data, checksum)
        labels.append(block.labels)
        progress.advance(count)
        if block.begin + count == shard.rows:
            length = BLOCK_BYTES + shard.rows * block.pixels[0].nbytes
            file = File(shard.path.name, shard.rows, length, checksum)
            yield shard, file, np.concatenate(labels)


def _decode(
    place: tuple[_Shard, int], sources: Mapping[str, DecodedImages], buffers: BatchBuffers
) -> _Block:
    shard, begin = place
    count, first = min(_ROWS_AT_ONCE, shard.rows - begin), shard.first + begin
    pixels, labels = buffers.take()[:count], np.empty(count, np.int32)
    sources[shard.split].read_into(range(first, first + count), pixels, labels)
    return _Block(shard, begin, pixels, labels)


def _write(block: _Block) -> _Block:
    """Write a block to its place in the file, which the first block of a shard creates."""
    file, pixels = block.shard.temporary, block.pixels
    if block.begin == 0:
        file.write_bytes(_header(block.shard, pixels))
    write_at(file, BLOCK_BYTES + block.begin * pixels[0].nbytes, pixels)
    return block


def _header(shard: _Shard, pixels: np.ndarray) -> bytes:
    """Return a `.npy` header as long as a block of the disk, so that rows can be written directly.

    Format version 1.0: magic, version, length of the text (uint16), text with a newline at its end.
    """
    shape = (shard.rows, *pixels.shape[1:])
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    begin = np.lib.format.magic(1, 0) + (BLOCK_BYTES - 10).to_bytes(2, "little")
    return begin + text.ljust(BLOCK_BYTES - 11).encode() + b"\n"


def _publish(
    directory: Path, manifest: Manifest, shard: _Shard, file: File, labels: np.ndarray
) -> Manifest:
    """Sync a written shard to disk, rename it, and return the manifest with its entry."""
    sync(shard.temporary)
    shard.temporary.replace(shard.path)
    split = manifest.splits[shard.split]
    all_labels = np.load(directory / split.labels.name, allow_pickle=False)
    all_labels[shard.first : shard.first + shard.rows] = labels
    entry = _write_labels(directory, shard.split, all_labels)
    changed = Split(entry, sorted([*split.shards, file], key=lambda file: file.name))
    manifest = replace(manifest, splits={**manifest.splits, shard.split: changed})
    manifest.save(directory / UNFINISHED)
    return manifest


def _write_labels(directory: Path, split: str, labels: np.ndarray) -> File:
    path, content = directory / f"{split}-labels.npy", io.BytesIO()
    np.save(content, labels)
    data = content.getvalue()
    with atomic_file(path) as unfinished:
        unfinished.write_bytes(data)
        sync(unfinished)
    return File(path.name, len(labels), len(data), zlib.crc32(data))


def _remove_temporary(directory: Path) -> None:
    """Remove the files of a killed run; the caller holds the lock of the data_dir."""
    for path in directory.glob(f"*{_TEMPORARY}"):
        path.unlink()
