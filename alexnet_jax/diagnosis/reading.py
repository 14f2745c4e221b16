"""Throughput of the host: reading from cold and warm caches, decoding, and complete batches."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import jax
import numpy as np

from alexnet_jax.data.decoding.reused_memory import BatchBuffers
from alexnet_jax.data.image_source import DecodedImages, ImageSource
from alexnet_jax.data.records import Records
from alexnet_jax.diagnosis.timing import Outcome, Skipped, Speed, time_results
from alexnet_jax.system.bounded_map import bounded_map

_SAMPLE_BYTES = 512 * 2**20  # The largest sample that is dropped from the page cache.
_EXAMPLES_PER_READ = 16
_PROBED = 16  # Offsets of a file that are checked for being in the page cache.

# Reads the examples at some indices and returns their size in bytes.
Reader = Callable[[np.ndarray], int]


def record_reader(records: Records) -> Reader:
    """Return a reader of encoded images, which does not decode them."""
    return lambda indices: sum(len(example["image"]) for example in records.read(indices))


def store_reader(store: ImageSource) -> Reader:
    """Return a reader of pixels into reused buffers, as training uses them."""
    buffers = BatchBuffers((_EXAMPLES_PER_READ, store.image_size, store.image_size, 3))

    def read(indices: np.ndarray) -> int:
        images = buffers.take()[: len(indices)]
        store.read_into(indices, images, np.empty(len(indices), np.int32))
        return images.nbytes

    return read


def reading_speeds(
    read: Reader,
    files: Sequence[Path],
    examples: int,
    batch_size: int,
    threads: int,
    seconds: float,
) -> tuple[Outcome, Outcome]:
    """Read examples of `files` in random order, from a cold cache, and again from a warm one.

    Each lasts for `seconds` or until all examples are read.
    """
    sizes = [file.stat().st_size for file in files]
    part = min(1.0, _SAMPLE_BYTES / sum(sizes))
    sample = max(1, int(examples * part))
    # The first files hold the sample, as far as they are equally large; the margin is two files.
    count = int(np.searchsorted(np.cumsum(sizes), sum(sizes) * part)) + 2
    groups = _group(np.random.default_rng(0).permutation(sample))

    def read_groups(some: Sequence[np.ndarray]) -> tuple[int, Speed]:
        done, size, elapsed = time_results(bounded_map(read, some, threads), seconds, int)
        images = sum(len(group) for group in some[:done])
        return done, _speed(images, elapsed, batch_size, size / elapsed)

    refusal = drop_from_memory(files[:count])
    done, cold = read_groups(groups)
    _, warm = read_groups(groups[:done])
    return Skipped(refusal) if refusal else cold, warm


def drop_from_memory(files: Sequence[Path]) -> str:
    """Drop `files` from the kernel's page cache; return "", or why they are still cached.

    Caches below the kernel (of a disk, of the host of a virtual machine) cannot be dropped.
    """
    if not hasattr(os, "posix_fadvise") or not hasattr(os, "RWF_NOWAIT"):
        return "only Linux can be asked to forget files"
    try:
        kept = sum(_drop(file) for file in files)
    except OSError as error:
        return f"the file system does not do it: {error.strerror}"
    return f"{kept} of {len(files)} files stay in memory" if kept else ""


def _drop(file: Path) -> bool:
    """Drop a file's pages; return whether most of the probed ones are still cached."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # Dirty pages would stay.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        # Without this, each probe reads ahead.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        size = os.fstat(descriptor).st_size
        cached = [_is_cached(descriptor, size * part // _PROBED) for part in range(_PROBED)]
        return sum(cached) > _PROBED // 2  # A fast disk can answer some probes itself.
    finally:
        os.close(descriptor)


def _is_cached(descriptor: int, offset: int) -> bool:
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) > 0
    except BlockingIOError:  # The read would wait for the disk.
        return False


def decoding_speed(pixels: DecodedImages, batch_size: int, threads: int, seconds: float) -> Speed:
    """Decode a few hundred images from memory, on all threads, repeatedly."""
    count = min(len(pixels), 16 * _EXAMPLES_PER_READ)
    groups = _group(list(enumerate(pixels.records.read(range(count)))))

    def decode(examples: list[tuple[int, dict[str, Any]]]) -> int:
        image = np.empty((pixels.image_size, pixels.image_size, 3), np.uint8)
        for index, example in examples:
            pixels.decode(index, example, image)
        return len(examples)

    decoded = bounded_map(decode, cycle(groups), threads)
    _, images, elapsed = time_results(decoded, seconds, int)
    return _speed(images, elapsed, batch_size)


def batches_speed(batches: Iterator[Any], batch_size: int, seconds: float) -> Outcome:
    """Time batches, on the host or on devices; the clock starts when the first one is there."""
    jax.block_until_ready(next(batches))

    def wait(batch: Any) -> int:
        jax.block_until_ready(batch)
        return batch_size

    made, images, elapsed = time_results(batches, seconds, wait)
    return _speed(images, elapsed, batch_size) if made else Skipped("the run is one step long")


def _group(examples: Any) -> list[Any]:
    starts = range(0, len(examples), _EXAMPLES_PER_READ)
    return [examples[start : start + _EXAMPLES_PER_READ] for start in starts]


def _speed(
    images: int, seconds: float, batch_size: int, bytes_per_second: float | None = None
) -> Speed:
    rate = images / seconds
    return Speed(rate, batch_size / rate, max(1, images // batch_size), bytes_per_second)
